//! The pages that wait to be published.

use tokio::sync::mpsc::Receiver;

use crate::run::lane_page::LanePage;

/// The maximum number of pages in a transaction. So a smaller page size also makes smaller transactions.
const MAX_PAGES: usize = 8;
/// A transaction with this many bytes of objects takes no further page. An object has 3 to 4.5 KB, depending on the
/// whitespace in it, so this is one or two pages of the default size.
const ENOUGH_BYTES: usize = 4 * 1024 * 1024;

/// Waits for a page, and takes those that also wait already, in order and up to the limits. They are published in one
/// transaction. Returns `None` after the last page.
pub(super) async fn receive_transaction(pages: &mut Receiver<LanePage>) -> Option<Vec<LanePage>> {
    let first = pages.recv().await?;
    let mut bytes = first.page.bytes();
    let mut taken = vec![first];
    while taken.len() < MAX_PAGES && bytes < ENOUGH_BYTES {
        let Ok(page) = pages.try_recv() else { break };
        bytes += page.page.bytes();
        taken.push(page);
    }
    Some(taken)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tokio::sync::mpsc;

    use super::*;
    use crate::model::page::tests::page;
    use crate::run::lane_page::Covered;

    /// A page of one object of this size.
    fn sized(from: usize, bytes: usize) -> LanePage {
        let mut page = page(&["2222-2222"]);
        page.objects[0].raw = Bytes::from(vec![b' '; bytes]);
        LanePage {
            from: from.to_string(),
            until: None,
            covered: Covered::Full,
            page,
            largest_id: None,
            skipped: None,
        }
    }

    /// The lower bounds of the pages of each transaction, when pages of these sizes wait.
    async fn taken(sizes: &[usize]) -> Vec<Vec<String>> {
        let (sender, mut receiver) = mpsc::channel(sizes.len());
        for (number, bytes) in sizes.iter().enumerate() {
            sender.send(sized(number, *bytes)).await.unwrap();
        }
        drop(sender);
        let mut taken = Vec::new();
        while let Some(pages) = receive_transaction(&mut receiver).await {
            taken.push(pages.into_iter().map(|page| page.from).collect());
        }
        taken
    }

    #[tokio::test]
    async fn all_waiting_pages_are_taken_in_order() {
        assert_eq!(taken(&[1, 1, 1]).await, [["0", "1", "2"]]);
    }

    #[tokio::test]
    async fn a_page_is_not_kept_back_to_wait_for_another() {
        let (sender, mut receiver) = mpsc::channel(2);
        sender.send(sized(0, 1)).await.unwrap();
        // The sender is still there, so more pages could come.
        assert_eq!(receive_transaction(&mut receiver).await.unwrap().len(), 1);
        drop(sender);
        assert!(receive_transaction(&mut receiver).await.is_none());
    }

    #[tokio::test]
    async fn a_transaction_is_limited_by_pages_and_by_bytes() {
        let lens = |taken: Vec<Vec<String>>| taken.iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(lens(taken(&[1; 2 * MAX_PAGES + 1]).await), [MAX_PAGES, MAX_PAGES, 1]);
        assert_eq!(lens(taken(&[ENOUGH_BYTES - 1; 3]).await), [2, 1]);
        assert_eq!(lens(taken(&[ENOUGH_BYTES, 1, 1]).await), [1, 2]);
    }
}
