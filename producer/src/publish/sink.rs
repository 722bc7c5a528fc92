//! Where a run's records go.

use catalog_shared::cursor::Cursor;

use crate::model::outgoing::Outgoing;
use crate::publish::claim::Claim;

/// What takes the steps of a run.
pub(crate) enum Sink {
    /// Kafka, under the claim of the region.
    Kafka(Box<Claim>),
    /// Nothing: a dry run makes its records and cursors, and drops them.
    Nowhere,
    /// What a test makes of it.
    #[cfg(test)]
    Double(Double),
}

#[cfg(test)]
pub(crate) type Double = Box<dyn FnMut(Vec<Outgoing>, &Cursor) -> anyhow::Result<()> + Send>;

impl Sink {
    /// Takes records together with the cursor that speaks of them.
    pub(crate) async fn commit(&mut self, records: Vec<Outgoing>, next: &Cursor) -> anyhow::Result<()> {
        match self {
            Self::Kafka(claim) => claim.commit(records, next).await,
            Self::Nowhere => Ok(()),
            #[cfg(test)]
            Self::Double(take) => take(records, next),
        }
    }
}
