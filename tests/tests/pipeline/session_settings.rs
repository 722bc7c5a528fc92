//! Defaults of the server, the database and the role don't affect a consumer's sessions.

use std::collections::BTreeMap;

use anyhow::Result;
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{CATALOG, World};
use sqlx::{AssertSqlSafe, raw_sql};

/// Defaults that a role may have, and the settings that a consumer's transactions must have. The timeouts are longer than
/// a login takes, because they already apply before a session can change them.
const SETTINGS: [(&str, &str, &str); 18] = [
    ("search_path", "public", "\"catalog\""),
    ("default_transaction_isolation", "repeatable read", "read committed"),
    ("default_transaction_deferrable", "on", "off"),
    ("statement_timeout", "1", "0"),
    ("lock_timeout", "1", "0"),
    ("idle_in_transaction_session_timeout", "60000", "10000"),
    ("idle_session_timeout", "60000", "0"),
    ("client_connection_check_interval", "0", "10000"),
    ("TimeZone", "Asia/Kathmandu", "UTC"),
    ("DateStyle", "SQL, DMY", "ISO, MDY"),
    ("IntervalStyle", "iso_8601", "postgres"),
    ("extra_float_digits", "-15", "1"),
    ("bytea_output", "escape", "hex"),
    ("array_nulls", "off", "on"),
    ("standard_conforming_strings", "off", "on"),
    ("plan_cache_mode", "force_generic_plan", "auto"),
    ("jit", "on", "off"),
    ("client_min_messages", "debug1", "warning"),
];

/// A trigger that records the settings of each session that writes to the ledger.
const RECORD_SETTINGS: &str = "
    create table public.seen (name text, setting text, unique (name, setting));
    create function public.watch() returns trigger language plpgsql as $$
    begin
        insert into public.seen select name, setting from pg_settings on conflict do nothing;
        return null;
    end
    $$;
    create trigger watch after insert or update on run_partitions
        for each statement execute function public.watch()";

#[tokio::test]
async fn hostile_defaults_of_a_role_change_nothing() -> Result<()> {
    let world = World::unmigrated("").await?;
    let api = MockServer::start(Options::new(Synthetic::new(300, 5))).await?;
    world.crawl(&api)?.succeed().await?;
    let url = world.login("settings7Q").await?;
    for (name, hostile, _) in SETTINGS {
        let set = format!("alter role {} set {name} = '{hostile}'", world.database());
        raw_sql(AssertSqlSafe(set)).execute(world.pool()).await?;
    }
    world.ask(&["migrate"])?.env("DATABASE_URL", &url).succeed().await?;
    raw_sql(RECORD_SETTINGS).execute(world.pool()).await?;
    world.plain_run()?.args(["--dry-run"]).env("DATABASE_URL", &url).succeed().await?;
    world.consume()?.env("DATABASE_URL", &url).args(["--batch-size", "50"]).succeed().await?;

    let seen: Vec<(String, String)> =
        sqlx::query_as("select name, setting from public.seen").fetch_all(world.pool()).await?;
    for (name, _, pinned) in SETTINGS {
        let found: Vec<&str> =
            seen.iter().filter(|(seen, _)| seen == name).map(|(_, setting)| setting.as_str()).collect();
        assert_eq!(found, [pinned], "{name}");
    }
    let now: BTreeMap<_, _> = seen.into_iter().filter(|(name, _)| name.starts_with("transaction_")).collect();
    assert_eq!(now["transaction_isolation"], "read committed");
    assert_eq!(now["transaction_read_only"], "off");

    let state: String = sqlx::query_scalar("select state from runs").fetch_one(world.pool()).await?;
    assert_eq!(state, "balanced");
    world.verify_topics()?.env("DATABASE_URL", &url).succeed().await?;
    world.ask(&["verify"])?.env("DATABASE_URL", &url).succeed().await?;
    world.consume_again()?.args(["--until-caught-up"]).succeed().await?;
    assert_eq!(world.contents("catalog", &CATALOG).await?, world.contents("again", &CATALOG).await?);
    Ok(())
}
