//! A request that the crate has no safe call for: the ids of topics.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char};
use std::time::Duration;

use anyhow::Context;
use rdkafka::bindings as rd;
use rdkafka::client::{Client, ClientContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;

/// The timeout of the request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// librdkafka reports the timeout itself, slightly later.
const GRACE: Duration = Duration::from_secs(1);
const OPERATION: rd::rd_kafka_admin_op_t = rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;

/// The ids of the topics that exist and have one, in the format of Kafka's tools. Needs DESCRIBE on the topics.
///
/// # Errors
/// If Kafka does not answer. Versions of Kafka without topic ids return none.
pub(super) fn topic_ids<C: ClientContext>(
    client: &Client<C>,
    topics: &[String],
) -> anyhow::Result<BTreeMap<String, String>> {
    let names = Names::of(topics)?;
    match Answer::to(client, &names) {
        Ok(answer) => Ok(answer.topic_ids()),
        Err(KafkaError::AdminOp(code)) if is_unsupported(code) => Ok(BTreeMap::new()),
        Err(error) => Err(error).context("can't read the ids of the topics"),
    }
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

    /// Pointers to the names, valid as long as `self`. librdkafka copies the names.
    fn pointers(&self) -> Vec<*const c_char> {
        self.0.iter().map(|name| name.as_ptr()).collect()
    }
}

/// # Safety
/// The client, the options and the queue are live objects of librdkafka.
#[expect(unsafe_code, reason = "the crate does not offer this call")]
unsafe fn describe_topics(
    client: *mut rd::rd_kafka_t,
    names: &Names,
    options: *const rd::rd_kafka_AdminOptions_t,
    queue: *mut rd::rd_kafka_queue_t,
) {
    let mut pointers = names.pointers();
    // SAFETY: the caller's promise. The names outlive the calls, which copy them. The collection is destroyed once.
    unsafe {
        let topics =
            rd::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr().cast(), pointers.len());
        rd::rd_kafka_DescribeTopics(client, topics, options, queue);
        rd::rd_kafka_TopicCollection_destroy(topics);
    }
}

/// Kafka's response: an event of librdkafka that is not null.
struct Answer(*mut rd::rd_kafka_event_t);

impl Drop for Answer {
    #[expect(unsafe_code, reason = "destroys an event of librdkafka")]
    fn drop(&mut self) {
        // SAFETY: this value owns the event, and nothing else destroys it.
        unsafe { rd::rd_kafka_event_destroy(self.0) }
    }
}

impl Answer {
    #[expect(unsafe_code, reason = "the crate does not offer these calls")]
    fn to<C: ClientContext>(client: &Client<C>, names: &Names) -> Result<Self, KafkaError> {
        let milliseconds = |limit: Duration| i32::try_from(limit.as_millis()).unwrap_or(i32::MAX);
        let rk = client.native_ptr();
        // SAFETY: the client outlives the call. Options and queue are made here, used while they live and destroyed
        // once; an error text of length 0 is not written to. A late answer to a queue that is gone is dropped by
        // librdkafka.
        let event = unsafe {
            let options = rd::rd_kafka_AdminOptions_new(rk, OPERATION);
            let limit = milliseconds(REQUEST_TIMEOUT);
            rd::rd_kafka_AdminOptions_set_request_timeout(options, limit, std::ptr::null_mut(), 0);
            let queue = rd::rd_kafka_queue_new(rk);
            describe_topics(rk, names, options, queue);
            rd::rd_kafka_AdminOptions_destroy(options);
            let event = rd::rd_kafka_queue_poll(queue, milliseconds(REQUEST_TIMEOUT + GRACE));
            rd::rd_kafka_queue_destroy(queue);
            event
        };
        if event.is_null() {
            return Err(KafkaError::AdminOp(RDKafkaErrorCode::OperationTimedOut));
        }
        let answer = Self(event);
        // SAFETY: the event is live.
        none_or(unsafe { rd::rd_kafka_event_error(answer.0) }).map(|()| answer)
    }

    #[expect(unsafe_code, reason = "reads an event of librdkafka")]
    fn topic_ids(&self) -> BTreeMap<String, String> {
        let mut count = 0;
        // SAFETY: the event is live for as long as `self` is, and so is all that is read of it; a null result has no
        // topics. The array has `count` elements.
        unsafe {
            let result = rd::rd_kafka_event_DescribeTopics_result(self.0);
            if result.is_null() {
                return BTreeMap::new();
            }
            let topics = rd::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
            let id = |index| {
                let topic = *topics.add(index);
                none_or(code(rd::rd_kafka_TopicDescription_error(topic))).ok()?;
                let id = uuid(rd::rd_kafka_TopicDescription_topic_id(topic))?;
                Some((text(rd::rd_kafka_TopicDescription_name(topic)), id))
            };
            (0..count).filter_map(id).collect()
        }
    }
}

fn none_or(code: RDKafkaRespErr) -> Result<(), KafkaError> {
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

/// The id in the format of Kafka's tools. `None` if it is missing or zero.
///
/// # Safety
/// The id is null or a live object of librdkafka.
#[expect(unsafe_code, reason = "reads an id of librdkafka")]
unsafe fn uuid(id: *const rd::rd_kafka_Uuid_t) -> Option<String> {
    if id.is_null() {
        return None;
    }
    // SAFETY: the caller's promise, and it is not null. The text belongs to the id.
    let (bits, written) = unsafe {
        let bits =
            (rd::rd_kafka_Uuid_most_significant_bits(id), rd::rd_kafka_Uuid_least_significant_bits(id));
        (bits, text(rd::rd_kafka_Uuid_base64str(id)))
    };
    // librdkafka uses the standard Base64 alphabet, and Kafka's tools the one for URLs.
    (bits != (0, 0)).then(|| written.replace('+', "-").replace('/', "_"))
}

/// # Safety
/// The text is null or ends with a NUL, and is not changed meanwhile.
#[expect(unsafe_code, reason = "reads a text of librdkafka")]
pub(super) unsafe fn text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: the caller's promise, and it is not null.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}
