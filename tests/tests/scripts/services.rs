//! `dev/services` with a stand-in for Docker: two clones on one host, and engines that are too old.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::TcpListener;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::clone::{Clone, executable};

/// Answers as an engine and Compose of these versions do. `$3` of `docker compose --project-directory DIR` is the clone.
fn docker(api: &str, compose: &str) -> String {
    format!(
        r#"echo "$@" >>"$(dirname "$0")/calls"
case "$*" in
  'version --format '*) echo {api} ;;
  'compose version --short') echo {compose} ;;
  *' port kafka '*) . "$3/.env" && echo "127.0.0.1:$KAFKA_PORT" ;;
  *' port postgres '*) . "$3/.env" && echo "127.0.0.1:$POSTGRES_PORT" ;;
  *' exec -T postgres '*) printf 'catalog\nsecret\n' ;;
esac
"#
    )
}

fn clone(parent: &TempDir, docker: &str) -> Result<Clone> {
    let clone = Clone::new(parent.path(), &["dev", "compose.yaml"])?;
    clone.program("docker", docker)?;
    Ok(clone)
}

/// The variables in lines such as `NAME=value` or `export NAME=value`.
fn variables(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().map(|line| line.trim_start_matches("export "));
    let pairs = lines.filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

const PORTS: [&str; 4] = ["KAFKA_PORT", "POSTGRES_PORT", "PROMETHEUS_PORT", "GRAFANA_PORT"];

/// The project name and the ports in `.env`.
fn settings(clone: &Clone) -> Result<(String, Vec<String>)> {
    let settings = variables(&clone.read(".env")?);
    let value = |name: &str| settings.get(name).cloned().with_context(|| format!(".env has no {name}"));
    Ok((value("COMPOSE_PROJECT_NAME")?, PORTS.into_iter().map(value).collect::<Result<_>>()?))
}

#[test]
fn two_clones_of_one_folder_name_have_projects_and_ports_of_their_own() -> Result<()> {
    let (one, two) = (TempDir::new()?, TempDir::new()?);
    let (one, two) = (clone(&one, &docker("1.44", "2.26.0"))?, clone(&two, &docker("1.44", "2.26.0"))?);
    let (first, second) = (
        variables(&one.succeed("dev/services", &["up"])?),
        variables(&two.succeed("dev/services", &["up"])?),
    );
    let ((name, ports), (other_name, other_ports)) = (settings(&one)?, settings(&two)?);
    assert!(name.starts_with("catalog-stream-") && name != other_name, "{name} {other_name}");
    // Ports are free when they are chosen, and nothing listens on those of the other clone yet. So they may be equal by chance.
    for ports in [&ports, &other_ports] {
        assert_eq!(ports.iter().collect::<BTreeSet<_>>().len(), PORTS.len(), "{ports:?}");
    }
    for (variables, ports) in [(first, ports), (second, other_ports)] {
        assert_eq!(variables["CATALOG_SERVICES"], "docker");
        assert_eq!(variables["KAFKA_BROKERS"], format!("127.0.0.1:{}", ports[0]));
        assert_eq!(
            variables["DATABASE_URL"],
            format!("postgres://catalog:secret@127.0.0.1:{}/catalog", ports[1])
        );
    }
    Ok(())
}

#[test]
fn settings_are_kept() -> Result<()> {
    let parent = TempDir::new()?;
    let clone = clone(&parent, "")?;
    // Without a newline at its end, as an editor may leave it.
    fs::write(clone.folder.join(".env"), "POSTGRES_PASSWORD='x y'\nGRAFANA_PORT=4000")?;
    clone.succeed("dev/services", &["env-file"])?;
    let written = clone.read(".env")?;
    clone.succeed("dev/services", &["env-file"])?;
    assert_eq!(clone.read(".env")?, written);
    assert!(written.starts_with("POSTGRES_PASSWORD='x y'\nGRAFANA_PORT=4000\n"), "{written}");
    assert_eq!(settings(&clone)?.1[3], "4000");
    Ok(())
}

#[test]
fn a_copied_clone_gets_another_project_and_other_ports_and_keeps_the_rest() -> Result<()> {
    let (one, two) = (TempDir::new()?, TempDir::new()?);
    let original = clone(&one, "")?;
    fs::write(original.folder.join(".env"), "SOCRATA_APP_TOKEN=x\n")?;
    original.succeed("dev/services", &["env-file"])?;
    let (name, ports) = settings(&original)?;
    // These are taken while the original runs.
    let taken = ports.iter().map(|port| TcpListener::bind(format!("127.0.0.1:{port}")));
    let _taken = taken.collect::<Result<Vec<_>, _>>()?;
    let copy = original.copied_to(two.path())?;
    copy.succeed("dev/services", &["env-file"])?;
    let (other_name, other_ports) = settings(&copy)?;
    assert_ne!(name, other_name);
    assert!(ports.iter().all(|port| !other_ports.contains(port)), "{ports:?} {other_ports:?}");
    assert_eq!(variables(&copy.read(".env")?)["SOCRATA_APP_TOKEN"], "x");
    Ok(())
}

#[test]
fn a_port_that_another_program_has_taken_is_replaced() -> Result<()> {
    let parent = TempDir::new()?;
    let clone = clone(&parent, &docker("1.44", "2.26.0"))?;
    clone.succeed("dev/services", &["env-file"])?;
    let (_, before) = settings(&clone)?;
    let _taken = TcpListener::bind(format!("127.0.0.1:{}", before[1]))?;
    let ended = clone.run("dev/services", &["up"])?;
    let message = String::from_utf8(ended.stderr)?;
    assert!(message.contains(&format!("port {} has been taken by another program", before[1])), "{message}");
    let (_, after) = settings(&clone)?;
    assert_ne!(after[1], before[1]);
    assert_eq!((&after[0], &after[2..]), (&before[0], &before[2..]));
    Ok(())
}

#[test]
fn docker_that_is_too_old_is_named_and_the_stack_is_used_instead() -> Result<()> {
    for (api, compose, reason) in [
        ("1.43", "2.26.0", "the Docker engine is too old: it has API 1.43"),
        ("1.9", "2.26.0", "the Docker engine is too old: it has API 1.9"),
        ("1.44", "v2.25.1", "Docker Compose v2.25.1 is too old"),
        ("1.44", "", "Docker has no plugin `compose`"),
    ] {
        let parent = TempDir::new()?;
        let clone = clone(&parent, &docker(api, compose))?;
        executable(&clone.folder.join("dev/stack"), "echo \"export STACK=$1\"\n")?;
        assert_eq!(clone.succeed("dev/services", &["kind"])?, "stack\n");
        let ended = clone.run("dev/services", &["up"])?;
        let (out, message) = (String::from_utf8(ended.stdout)?, String::from_utf8(ended.stderr)?);
        assert!(out.contains("CATALOG_SERVICES=stack\n") && out.ends_with("export STACK=env\n"), "{out}");
        assert!(message.contains(reason) && message.contains("Using dev/stack instead."), "{message}");
        let calls = fs::read_to_string(parent.path().join("programs/calls"))?;
        assert!(!calls.contains(" up "), "{calls}");
    }
    Ok(())
}

#[test]
fn a_docker_that_can_run_compose_yaml_is_used() -> Result<()> {
    for (api, compose) in [("1.44", "2.26.0"), ("1.50", "v2.40.3"), ("1.44", "5.0.0")] {
        let parent = TempDir::new()?;
        assert_eq!(clone(&parent, &docker(api, compose))?.succeed("dev/services", &["kind"])?, "docker\n");
    }
    Ok(())
}
