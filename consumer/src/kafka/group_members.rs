//! The members of a consumer group.
//!
//! librdkafka has two calls for this. `DescribeConsumerGroups` asks only the group's coordinator, but it aborts the process
//! when a killed broker restarts while a request is pending (confluentinc/librdkafka#4605). So this module uses
//! `rd_kafka_list_groups`, which asks every broker. The crate's safe wrapper treats an answer that lacks a broker as an
//! error. Here such an answer counts if it contains the group, because then the coordinator has answered.

use std::ffi::CString;
use std::time::Duration;

use anyhow::Context;
use rdkafka::bindings as rd;
use rdkafka::client::{Client, ClientContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;

use super::admin::text;

/// The timeout for all brokers together. A broker that is down costs all of it, and the loop of a consumer may wait for the
/// answer, so it is shorter than others.
const LIST_TIMEOUT: Duration = Duration::from_secs(5);

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupMember {
    pub(crate) client_id: String,
    pub(crate) host: String,
}

/// The members of a group, or `None` if there is no such group. Needs DESCRIBE on the group. Blocks for up to five seconds.
///
/// # Errors
/// An error of Kafka, or a broker that did not answer while no other broker knows the group.
pub(crate) fn group_members<C: ClientContext>(
    client: &Client<C>,
    group: &str,
) -> anyhow::Result<Vec<GroupMember>> {
    let name = CString::new(group).context("the group's name contains a NUL")?;
    let members = GroupList::fetch(client, &name).and_then(|groups| groups.members());
    members.with_context(|| format!("can't list the members of the group {group}"))
}

/// librdkafka's list, which is not null.
struct GroupList {
    list: *const rd::rd_kafka_group_list,
    /// Whether every broker has answered.
    is_complete: bool,
}

impl Drop for GroupList {
    #[expect(unsafe_code, reason = "destroys a list of librdkafka")]
    fn drop(&mut self) {
        // SAFETY: this value owns the list, and nothing else destroys it.
        unsafe { rd::rd_kafka_group_list_destroy(self.list) }
    }
}

impl GroupList {
    #[expect(unsafe_code, reason = "the crate's call drops incomplete answers")]
    fn fetch<C: ClientContext>(client: &Client<C>, group: &CString) -> Result<Self, KafkaError> {
        let mut list = std::ptr::null();
        let timeout = i32::try_from(LIST_TIMEOUT.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the client and the name outlive the call, which sets the list only if there is one.
        let code =
            unsafe { rd::rd_kafka_list_groups(client.native_ptr(), group.as_ptr(), &raw mut list, timeout) };
        let is_complete = match code {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR => true,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__PARTIAL => false,
            code => return Err(KafkaError::GroupListFetch(code.into())),
        };
        if list.is_null() {
            return Err(KafkaError::GroupListFetch(RDKafkaErrorCode::OperationTimedOut));
        }
        Ok(Self { list, is_complete })
    }

    #[expect(unsafe_code, reason = "reads a list of librdkafka")]
    fn members(&self) -> Result<Vec<GroupMember>, KafkaError> {
        // SAFETY: the list is live as long as `self`. Its arrays have as many elements as their counts say.
        unsafe {
            let Some(group) = elements((*self.list).groups, (*self.list).group_cnt).first() else {
                let missing = KafkaError::GroupListFetch(RDKafkaErrorCode::OperationTimedOut);
                return if self.is_complete { Ok(Vec::new()) } else { Err(missing) };
            };
            if group.err != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
                return Err(KafkaError::GroupListFetch(group.err.into()));
            }
            let member = |member: &rd::rd_kafka_group_member_info| GroupMember {
                client_id: text(member.client_id),
                host: text(member.client_host),
            };
            Ok(elements(group.members, group.member_cnt).iter().map(member).collect())
        }
    }
}

/// # Safety
/// The array has `count` live elements, or it is null and `count` is 0.
#[expect(unsafe_code, reason = "reads an array of librdkafka")]
unsafe fn elements<'a, T>(array: *const T, count: i32) -> &'a [T] {
    let count = usize::try_from(count).unwrap_or_default();
    if array.is_null() || count == 0 {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(array, count) }
}
