//! The mock server with a recording instead of a catalog.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use discovery_double::mock_server::{MockServer, Options, Recording};
use reqwest::Client;

/// A file as `docs/reference/recordings.md` describes it.
fn write(folder: &Path, name: &str, query: &str, asked: u32, rest: &str) -> Result<()> {
    let head = format!("method: GET\npath: /api/catalog/v1\nquery: {query}\nasked: {asked}\n");
    Ok(fs::write(folder.join(format!("{name}.http")), head + rest)?)
}

async fn play(folder: &Path) -> Result<MockServer> {
    Ok(MockServer::start(Options::playing(Recording::read(folder)?)).await?)
}

async fn ask(api: &MockServer, query: &str) -> reqwest::Result<(u16, String)> {
    let answer = Client::new().get(format!("{}?{query}", api.url())).send().await?;
    Ok((answer.status().as_u16(), answer.text().await?))
}

#[tokio::test]
async fn each_request_gets_its_recorded_answers_in_order_and_then_no_more() -> Result<()> {
    let folder = tempfile::tempdir()?;
    // The number in the file decides, and not the file's name.
    write(folder.path(), "b", "limit=1&scroll_id=", 1, "ended: whole\nstatus: 429\nretry-after: 7\n\n")?;
    write(folder.path(), "a", "limit=1&scroll_id=", 2, "ended: whole\nstatus: 200\n\n\n\nfirst\n")?;
    write(folder.path(), "c", "limit=1&scroll_id=x+y", 1, "ended: whole\nstatus: 200\n\nsecond")?;
    let api = play(folder.path()).await?;
    assert_eq!(ask(&api, "scroll_id=&limit=1").await?, (429, String::new()));
    assert_eq!(ask(&api, "limit=1&scroll_id=x%20y").await?, (200, "second".into()));
    let recording = api.recording().context("it plays one")?;
    assert_eq!((recording.unplayed().len(), recording.unexpected().len()), (1, 0));
    assert_eq!(ask(&api, "limit=1&scroll_id=").await?, (200, "\n\nfirst\n".into()));
    assert_eq!((recording.unplayed().len(), recording.unexpected().len()), (0, 0));
    let (status, reported) = ask(&api, "limit=1&scroll_id=").await?;
    assert!(status == 410 && reported.contains("not in the recording"), "{status} {reported}");
    assert_eq!(recording.unexpected(), [recording.exchanges()[0].request.clone()]);
    Ok(())
}

#[tokio::test]
async fn a_recorded_break_is_played_back_at_the_same_byte() -> Result<()> {
    let folder = tempfile::tempdir()?;
    write(folder.path(), "a", "q=half", 1, "ended: reset\nstatus: 200\n\nhalf an ans")?;
    write(folder.path(), "b", "q=empty", 1, "ended: reset\nstatus: 200\n\n")?;
    write(folder.path(), "c", "q=nothing", 1, "ended: reset\n\n")?;
    let api = play(folder.path()).await?;
    let mut answer = Client::new().get(format!("{}?q=half", api.url())).send().await?;
    let mut body = Vec::new();
    let error = loop {
        match answer.chunk().await {
            Ok(Some(piece)) => body.extend_from_slice(&piece),
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    assert_eq!((String::from_utf8(body)?.as_str(), error.is_some()), ("half an ans", true));
    for query in ["q=empty", "q=nothing"] {
        assert!(ask(&api, query).await.is_err_and(|error| error.is_request()), "{query}");
    }
    Ok(())
}

#[test]
fn a_file_with_another_format_is_refused_by_name() -> Result<()> {
    let folder = tempfile::tempdir()?;
    assert!(Recording::read(folder.path()).is_err());
    write(folder.path(), "odd", "", 1, "ended: never\n\n")?;
    let error = format!("{:#}", Recording::read(folder.path()).expect_err("no such ending"));
    assert!(error.contains("odd.http") && error.contains("never"), "{error}");
    Ok(())
}
