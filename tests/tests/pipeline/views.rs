//! The schema has a comment on everything, and views that count what was served.

use std::collections::BTreeMap;

use anyhow::Result;
use catalog_tests::world::World;
use serde_json::Value;

use crate::queries::{PORTAL, fill};

#[tokio::test]
async fn every_table_view_and_column_has_a_comment() -> Result<()> {
    let world = World::new().await?;
    world.migrate().await?;
    let uncommented: Vec<String> = sqlx::query_scalar(
        "select relation.relname || coalesce('.' || attribute.attname, '')
         from pg_class as relation
         join pg_namespace as schema on schema.oid = relation.relnamespace
         left join lateral (
             select attname, attnum from pg_attribute where attrelid = relation.oid and attnum > 0 and not attisdropped
             union all select null, 0
         ) as attribute on true
         where schema.nspname = 'catalog' and relation.relkind in ('r', 'v', 'm', 'p')
             and relation.relname <> '_sqlx_migrations'
             and coalesce(btrim(col_description(relation.oid, attribute.attnum)),
                 case attribute.attnum when 0 then btrim(obj_description(relation.oid, 'pg_class')) end, '') = ''
         order by 1",
    )
    .fetch_all(world.pool())
    .await?;
    assert_eq!(uncommented, Vec::<String>::new());
    let views: i64 = sqlx::query_scalar("select count(*) from pg_views where schemaname = 'catalog'")
        .fetch_one(world.pool())
        .await?;
    assert_eq!(views, 5);
    Ok(())
}

#[tokio::test]
async fn summaries_count_what_was_served() -> Result<()> {
    let filled = fill().await?;
    let pool = filled.world.pool();
    let count = |of: &dyn Fn(&Value) -> String| {
        let mut counts = BTreeMap::new();
        for object in &filled.objects {
            let count: &mut (i64, i64, i64) = counts.entry(of(object)).or_default();
            count.0 += 1;
            count.1 += i64::from(object["resource"]["type"] == "dataset");
            count.2 += object["resource"]["page_views"]["page_views_total"].as_i64().unwrap_or_default();
        }
        counts
    };
    let domain = |object: &Value| object["metadata"]["domain"].as_str().unwrap_or_default().to_owned();
    let served = count(&domain);
    // Each host equals its domain, except for upper and lower case.
    for summary in [
        "select domain, assets, datasets, page_views_total::bigint from domain_summary where assets > 0",
        "select host, assets, datasets, page_views_total::bigint from host_summary where assets > 0",
        "select domain, count(*), count(*) filter (where type = 'dataset'), sum(coalesce(page_views_total, 0))::bigint
         from active_datasets group by domain",
    ] {
        let rows: Vec<(String, i64, i64, i64)> = sqlx::query_as(summary).fetch_all(pool).await?;
        let held: BTreeMap<_, _> = rows.into_iter().map(|(name, a, b, c)| (name, (a, b, c))).collect();
        assert_eq!(held, served, "{summary}");
    }
    let (assets, by_type, retired, missing): (i64, i64, i64, i64) = sqlx::query_as(
        "select assets, datasets + filters + charts + maps + files + others, retired, missing
         from domain_summary where domain = $1",
    )
    .bind(PORTAL)
    .fetch_one(pool)
    .await?;
    let gone = filled.gone.iter().filter(|link| link.contains(PORTAL)).count();
    assert_eq!((by_type, retired, missing), (assets, i64::try_from(gone)?, 1));
    Ok(())
}

#[tokio::test]
async fn every_agency_of_the_summary_was_published_and_has_its_assets() -> Result<()> {
    let filled = fill().await?;
    // If the summary trimmed agencies or spelled hosts differently from the producer, such an agency would be in the
    // summary twice: once without assets, once without a record.
    let halves: Vec<(String, String)> = sqlx::query_as(
        "select host, agency from agency_summary where assets + retired = 0 or observed_at is null",
    )
    .fetch_all(filled.world.pool())
    .await?;
    assert_eq!(halves, Vec::new());
    let halves: Vec<String> =
        sqlx::query_scalar("select host from host_summary where assets + retired = 0 or observed_at is null")
            .fetch_all(filled.world.pool())
            .await?;
    assert_eq!(halves, Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn tables_have_both_addresses_of_their_rows_and_other_types_have_none() -> Result<()> {
    let filled = fill().await?;
    let addresses: Vec<(String, Option<String>, Option<String>)> = sqlx::query_as(
        "select type || ' ' || host || ' ' || id, resource_url, query_url from active_datasets where type is not null",
    )
    .fetch_all(filled.world.pool())
    .await?;
    let mut tables = 0;
    for (asset, resource_url, query_url) in &addresses {
        let [kind, host, id] = asset.split(' ').collect::<Vec<_>>()[..] else { panic!("{asset}") };
        let is_table = kind == "dataset" || kind == "filter";
        let address = |path: String| is_table.then(|| format!("https://{host}{path}"));
        assert_eq!(*resource_url, address(format!("/resource/{id}.json")), "{asset}");
        assert_eq!(*query_url, address(format!("/api/v3/views/{id}/query.json")), "{asset}");
        tables += usize::from(is_table);
    }
    assert!(tables > 50 && tables < addresses.len() - 50, "{tables} of {}", addresses.len());
    Ok(())
}

#[tokio::test]
async fn tags_of_publishers_are_indexed_and_those_of_operators_are_not() -> Result<()> {
    let world = World::new().await?;
    world.migrate().await?;
    let indexed: Vec<String> = sqlx::query_scalar(
        "select attribute.attname from pg_index as index
         join pg_class as class on class.oid = index.indexrelid
         join pg_am as method on method.oid = class.relam
         join pg_attribute as attribute on attribute.attrelid = index.indrelid and attribute.attnum = any (index.indkey)
         where method.amname = 'gin' and index.indrelid = 'socrata_datasets'::regclass
         order by 1",
    )
    .fetch_all(world.pool())
    .await?;
    assert_eq!(indexed, ["categories", "domain_tags"]);
    Ok(())
}
