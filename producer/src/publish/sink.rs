//! Where the steps of a run are committed. The publisher calls [`Sink::commit`], which calls [`Claim::commit`].

use catalog_shared::cursor::Cursor;

use crate::model::outgoing::Outgoing;
use crate::publish::claim::Claim;

/// Where the steps of a run are committed.
pub(crate) enum Sink {
    /// To Kafka, with the claim of the region.
    Kafka(Box<Claim>),
    /// Nowhere: a dry run builds its records and cursors and drops them.
    Nowhere,
    /// To a test.
    #[cfg(test)]
    Mock(Mock),
}

#[cfg(test)]
pub(crate) type Mock = Box<dyn FnMut(Vec<Outgoing>, &Cursor) -> anyhow::Result<()> + Send>;

impl Sink {
    pub(crate) const fn is_kafka(&self) -> bool {
        matches!(self, Self::Kafka(_))
    }

    /// Commits records together with the next cursor.
    pub(crate) async fn commit(&mut self, records: Vec<Outgoing>, next: &Cursor) -> anyhow::Result<()> {
        match self {
            Self::Kafka(claim) => claim.commit(records, next).await,
            Self::Nowhere => Ok(()),
            #[cfg(test)]
            Self::Mock(take) => take(records, next),
        }
    }
}
