//! The polling thread. It polls the member of the group, copies what it receives, and sends chunks of records to the loop
//! that applies them (`commands::run`).
//!
//! Why records are neither lost nor taken for those of another assignment:
//!
//! 1. Only this thread polls, and only this thread assigns, unassigns, seeks, pauses, resumes and reads positions. The loop
//!    sends commands, which are executed between two polls. So every record was received either before or after a command,
//!    and never during one.
//! 2. librdkafka drops what it fetched before a seek or a pause: both raise the version of the partition before the call
//!    returns, and a poll skips messages of an older version. It stops revoked partitions before it takes part in the group
//!    again, so what was fetched before a revocation is gone before the partition can be assigned again. A poll after a
//!    command therefore returns nothing that was fetched before it, except for a partition that was just given up. The
//!    thread does not know that partition any more and drops its messages.
//! 3. The loop numbers assignments and seeks with an epoch, which never repeats. The thread sets the epoch of a partition
//!    when it executes the command, and puts it on every chunk. A chunk that was begun before is sent before, with the
//!    older epoch. The loop sets the epoch of its partition once the command has succeeded. It drops chunks of any other
//!    epoch, and chunks of partitions that it does not have. A seek that fails leaves the epoch as it was; the loop drops
//!    everything until the seek is repeated.
//! 4. Within an epoch nothing is dropped: chunks are sent in the order of their offsets, over one channel without a limit.
//!    librdkafka resumes a paused partition behind the last message that a poll returned, and that message is in a chunk.
//! 5. Rebalances are events in a channel of their own, sent by the callback during a poll. The loop reads that channel first
//!    and answers each event by a command. It may read an event before chunks that were received earlier. That does no harm:
//!    chunks of a revoked partition are dropped anyway because the next assignment starts at the position in the
//!    database, and chunks of other partitions are not affected by the event.
//! 6. How far a partition was read (past the end of a transaction) is read from librdkafka by this thread, after the open
//!    chunks were sent, and sent over the same channel. So the loop has all records below that offset when it gets it.
//!    librdkafka clears that position when it stops and when it seeks a partition, so that no older one is read.
//!
//! Polling never rests for long, because a member that does not poll is dropped from its group. While the loop does not
//! take chunks, the thread first waits, for at most [`throttle::WAIT`], without polling: librdkafka keeps what it has
//! fetched. After that the thread pauses all partitions and polls on. It still sends what comes, so the channel needs no
//! limit: after a pause nothing comes. The loop pauses single partitions by commands; a partition is paused while either
//! of them wants it.
//!
//! The thread ends by leaving the group, or when the loop is gone. Then it drops the member, which waits for the group and
//! must not happen on a thread of the runtime. No callback runs meanwhile, because no other thread polls. So
//! `GroupContext::close` and the events that are still unanswered need no lock.

mod assignment;
mod client;
mod thread;
mod throttle;

pub(crate) use client::{PollingMember, Received};
