//! The polling thread. It polls the member of the group, copies what it receives, and sends chunks of records to the loop
//! that applies them (`commands::run`).
//!
//! Why no record is lost or mistaken for a record of another assignment:
//!
//! 1. Only this thread polls, and only this thread assigns, unassigns, seeks, pauses, resumes and reads positions. The loop
//!    sends commands, which are executed between two polls. So every record was received either before or after a command,
//!    and never during one.
//! 2. librdkafka drops what it fetched before a seek or a pause: both raise the version of the partition before the call
//!    returns, and a poll skips messages of an older version. It stops revoked partitions before it takes part in the group
//!    again, so what was fetched before a revocation is gone before the partition can be assigned again. A poll after a
//!    command therefore returns nothing that was fetched before it, except for a partition that was just revoked. The
//!    thread no longer knows that partition and drops its messages.
//! 3. The loop numbers assignments and seeks with an epoch, which never repeats. The thread sets the epoch of a partition
//!    when it executes the command, and adds it to every chunk. A chunk that was started before is sent before, with the
//!    older epoch. The loop sets the epoch of its partition once the command has succeeded. It drops chunks of any other
//!    epoch, and chunks of partitions that it does not have. A seek that fails leaves the epoch as it was; the loop drops
//!    everything until the seek is repeated.
//! 4. Within an epoch nothing is dropped: chunks are sent in the order of their offsets, over one unbounded channel.
//!    librdkafka resumes a paused partition after the last message that a poll returned, and that message is in a chunk.
//! 5. Rebalances are events in a separate channel, sent by the callback during a poll. The loop reads that channel first
//!    and answers each event with a command. It may read an event before chunks that were received earlier. That does no harm:
//!    chunks of a revoked partition are dropped anyway because the next assignment starts at the position in the
//!    database, and chunks of other partitions are not affected by the event.
//! 6. How far a partition was read (past the end of a transaction) is read from librdkafka by this thread, after the open
//!    chunks were sent, and sent over the same channel. So the loop has all records below that offset when it gets it.
//!    librdkafka clears that position when it stops and when it seeks a partition, so that no older one is read.
//!
//! The thread never stops polling for long, because the group removes a member that does not poll. While the loop does not
//! take chunks, the thread first waits, for at most [`throttle::WAIT`], without polling: librdkafka keeps what it has
//! fetched. After that the thread pauses all partitions and continues to poll. It still sends what it receives. The channel
//! needs no limit, because nothing is received after a pause. The loop pauses single partitions by commands. A partition is
//! paused while the loop or the thread pauses it.
//!
//! The thread ends when it has left the group or the loop has ended. Then it drops the member, which waits for the group and
//! must not happen on a thread of the runtime. No callback runs meanwhile, because no other thread polls. So
//! `GroupContext::close` and the events that are still unanswered need no lock.

mod assignment;
mod client;
mod messages;
mod thread;
mod throttle;

pub(crate) use client::PollingMember;
pub(crate) use messages::Received;
