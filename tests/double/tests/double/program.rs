//! The mock server as a program.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::asking::{CLIENT, read};

fn program(arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_discovery-double"));
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command.spawn().expect("a process")
}

#[tokio::test]
async fn the_program_prints_its_url_serves_and_ends_on_a_signal() {
    for name in ["INT", "TERM"] {
        let mut api = program(&["--synthetic", "120", "--domains", "3", "--region", "eu", "--print-url"]);
        let mut out = BufReader::new(api.stdout.take().expect("its output"));
        let mut url = String::new();
        out.read_line(&mut url).await.expect("a line");
        let page =
            CLIENT.get(format!("{}?scroll_id=&limit=200", url.trim())).send().await.expect("an answer");
        let page = read(page).await;
        assert_eq!((page.ids().len(), page.header("x-socrata-region")), (120, Some("aws-eu-west-1-prod")));
        let id = api.id().expect("running").to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().await.expect("kill").success());
        assert!(api.wait().await.expect("an end").success(), "{name}");
        let mut rest = String::new();
        out.read_to_string(&mut rest).await.expect("text");
        assert_eq!(rest, "");
    }
}

#[tokio::test]
async fn the_program_names_a_file_that_it_can_not_serve() {
    let output = program(&["--ndjson", "/no/such/file"]).wait_with_output().await.expect("an end");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/no/such/file"));
}
