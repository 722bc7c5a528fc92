//! Two admin requests that rdkafka has no safe call for: the ids of topics, and the members of a group.
//!
//! The crate's own list of group members queries every broker and fails if one is down. This one queries only the
//! group's coordinator. Both calls block.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char};
use std::time::Duration;

use anyhow::Context;
use rdkafka::bindings as rd;
use rdkafka::client::{Client, ClientContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;

/// Timeout of a request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// librdkafka reports the timeout itself, slightly later.
const REPORT_DELAY: Duration = Duration::from_secs(1);

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupMember {
    pub(crate) client_id: String,
    pub(crate) host: String,
}

/// Topic ids by name, in the format of Kafka's tools, for the topics that exist and have one. Needs DESCRIBE on the
/// topics.
///
/// # Errors
/// If Kafka does not response. A Kafka version without topic ids gives an empty map, not an error.
pub(super) fn topic_ids<C: ClientContext>(
    client: &Client<C>,
    topics: &[String],
) -> anyhow::Result<BTreeMap<String, String>> {
    let names = Names::of(topics)?;
    match Response::request(client, &Request::Topics(&names)) {
        Ok(response) => Ok(response.topic_ids()),
        Err(KafkaError::AdminOp(code)) if is_unsupported(code) => Ok(BTreeMap::new()),
        Err(error) => Err(error).context("can't read the ids of the topics"),
    }
}

/// The members of a group; empty if the group does not exist. Needs DESCRIBE on the group.
///
/// # Errors
/// The error of Kafka.
pub(crate) fn group_members<C: ClientContext>(
    client: &Client<C>,
    group: &str,
) -> anyhow::Result<Vec<GroupMember>> {
    let names = Names::of(&[group.to_owned()])?;
    let members = Response::request(client, &Request::Group(&names)).and_then(|response| response.members());
    members.with_context(|| format!("can't list the members of the group {group}"))
}

const fn is_unsupported(code: RDKafkaErrorCode) -> bool {
    matches!(code, RDKafkaErrorCode::UnsupportedFeature | RDKafkaErrorCode::UnsupportedVersion)
}

/// Names as C strings.
struct Names(Vec<CString>);

impl Names {
    fn of(names: &[String]) -> anyhow::Result<Self> {
        let names = names.iter().map(|name| CString::new(name.as_str()));
        Ok(Self(names.collect::<Result<_, _>>().context("a name contains a NUL")?))
    }

    /// Pointers that are valid as long as `self` is. librdkafka copies what they point to.
    fn pointers(&self) -> Vec<*const c_char> {
        self.0.iter().map(|name| name.as_ptr()).collect()
    }
}

enum Request<'a> {
    Topics(&'a Names),
    Group(&'a Names),
}

impl Request<'_> {
    const fn operation(&self) -> rd::rd_kafka_admin_op_t {
        match self {
            Self::Topics(_) => rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS,
            Self::Group(_) => rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS,
        }
    }

    /// # Safety
    /// The client, the options and the queue are live objects of librdkafka.
    #[expect(unsafe_code, reason = "the crate does not offer these calls")]
    unsafe fn send(
        &self,
        client: *mut rd::rd_kafka_t,
        options: *const rd::rd_kafka_AdminOptions_t,
        queue: *mut rd::rd_kafka_queue_t,
    ) {
        match self {
            // SAFETY: the caller's promise. The names outlive the calls, which copy them; the collection is destroyed once.
            Self::Topics(names) => unsafe {
                let mut pointers = names.pointers();
                let topics =
                    rd::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr().cast(), pointers.len());
                rd::rd_kafka_DescribeTopics(client, topics, options, queue);
                rd::rd_kafka_TopicCollection_destroy(topics);
            },
            // SAFETY: as above.
            Self::Group(names) => unsafe {
                let mut pointers = names.pointers();
                let (groups, count) = (pointers.as_mut_ptr(), pointers.len());
                rd::rd_kafka_DescribeConsumerGroups(client, groups, count, options, queue);
            },
        }
    }
}

/// The response: an event of librdkafka that is not null.
struct Response(*mut rd::rd_kafka_event_t);

impl Drop for Response {
    #[expect(unsafe_code, reason = "destroys an event of librdkafka")]
    fn drop(&mut self) {
        // SAFETY: this value owns the event, and only this function destroys it.
        unsafe { rd::rd_kafka_event_destroy(self.0) }
    }
}

impl Response {
    #[expect(unsafe_code, reason = "the crate does not offer these calls")]
    fn request<C: ClientContext>(client: &Client<C>, request: &Request<'_>) -> Result<Self, KafkaError> {
        let milliseconds = |timeout: Duration| i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        let rk = client.native_ptr();
        // SAFETY: the client outlives the call. Options and queue are made here, used while they live and destroyed
        // once; an error text of length 0 is not written to. librdkafka drops a
        // late response to a destroyed queue.
        let event = unsafe {
            let options = rd::rd_kafka_AdminOptions_new(rk, request.operation());
            let timeout = milliseconds(REQUEST_TIMEOUT);
            rd::rd_kafka_AdminOptions_set_request_timeout(options, timeout, std::ptr::null_mut(), 0);
            let queue = rd::rd_kafka_queue_new(rk);
            request.send(rk, options, queue);
            rd::rd_kafka_AdminOptions_destroy(options);
            let event = rd::rd_kafka_queue_poll(queue, milliseconds(REQUEST_TIMEOUT + REPORT_DELAY));
            rd::rd_kafka_queue_destroy(queue);
            event
        };
        if event.is_null() {
            return Err(KafkaError::AdminOp(RDKafkaErrorCode::OperationTimedOut));
        }
        let response = Self(event);
        // SAFETY: the event is live.
        check(unsafe { rd::rd_kafka_event_error(response.0) }).map(|()| response)
    }

    #[expect(unsafe_code, reason = "reads an event of librdkafka")]
    fn topic_ids(&self) -> BTreeMap<String, String> {
        let mut count = 0;
        // SAFETY: the event and all data read from it live as long as `self`. A null result has no topics. The array has
        // `count` elements.
        unsafe {
            let result = rd::rd_kafka_event_DescribeTopics_result(self.0);
            if result.is_null() {
                return BTreeMap::new();
            }
            let topics = rd::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
            let id = |place| {
                let topic = *topics.add(place);
                check(code(rd::rd_kafka_TopicDescription_error(topic))).ok()?;
                let id = uuid(rd::rd_kafka_TopicDescription_topic_id(topic))?;
                Some((text(rd::rd_kafka_TopicDescription_name(topic)), id))
            };
            (0..count).filter_map(id).collect()
        }
    }

    #[expect(unsafe_code, reason = "reads an event of librdkafka")]
    fn members(&self) -> Result<Vec<GroupMember>, KafkaError> {
        let mut count = 0;
        // SAFETY: as in `topic_ids`; the index of a member is below the group's member count.
        unsafe {
            let result = rd::rd_kafka_event_DescribeConsumerGroups_result(self.0);
            if result.is_null() {
                return Ok(Vec::new());
            }
            let groups = rd::rd_kafka_DescribeConsumerGroups_result_groups(result, &raw mut count);
            if count == 0 {
                return Ok(Vec::new());
            }
            let group = *groups;
            match check(code(rd::rd_kafka_ConsumerGroupDescription_error(group))) {
                Err(KafkaError::AdminOp(RDKafkaErrorCode::GroupIdNotFound)) => return Ok(Vec::new()),
                described => described?,
            }
            let member = |place| {
                let member = rd::rd_kafka_ConsumerGroupDescription_member(group, place);
                let client_id = text(rd::rd_kafka_MemberDescription_client_id(member));
                GroupMember { client_id, host: text(rd::rd_kafka_MemberDescription_host(member)) }
            };
            Ok((0..rd::rd_kafka_ConsumerGroupDescription_member_count(group)).map(member).collect())
        }
    }
}

fn check(code: RDKafkaRespErr) -> Result<(), KafkaError> {
    match code {
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
        code => Err(KafkaError::AdminOp(code.into())),
    }
}

/// # Safety
/// The error is null or a live object of librdkafka.
#[expect(unsafe_code, reason = "reads an error of librdkafka")]
unsafe fn code(error: *const rd::rd_kafka_error_t) -> RDKafkaRespErr {
    // SAFETY: the caller's promise; no error for null.
    unsafe { rd::rd_kafka_error_code(error) }
}

/// The id in the format of Kafka's tools; none if it is missing or zero.
///
/// # Safety
/// The id is null or a live object of librdkafka.
#[expect(unsafe_code, reason = "reads an id of librdkafka")]
unsafe fn uuid(id: *const rd::rd_kafka_Uuid_t) -> Option<String> {
    if id.is_null() {
        return None;
    }
    // SAFETY: the caller's promise, and it is not null. The id owns the text.
    let (bits, written) = unsafe {
        let bits =
            (rd::rd_kafka_Uuid_most_significant_bits(id), rd::rd_kafka_Uuid_least_significant_bits(id));
        (bits, text(rd::rd_kafka_Uuid_base64str(id)))
    };
    // librdkafka uses standard base64, Kafka's tools the URL-safe alphabet.
    (bits != (0, 0)).then(|| written.replace('+', "-").replace('/', "_"))
}

/// # Safety
/// The text is null or ends with a NUL, and does not change during the call.
#[expect(unsafe_code, reason = "reads a text of librdkafka")]
unsafe fn text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: the caller's promise, and it is not null.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}
