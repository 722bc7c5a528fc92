use proptest::prelude::*;

use super::*;

fn decision(state: Judgement) -> RunDecision {
    RunDecision {
        region: Region::Us,
        run: 7,
        ended_at: Some(OffsetDateTime::UNIX_EPOCH),
        mode: Some(Mode::Full),
        kinds: vec![RecordType::Datasets],
        scope: Vec::new(),
        revision: 0,
        judged: Judged::plain(state),
        decided: None,
    }
}

fn decided(what: Choice) -> Option<Decided> {
    Some(Decided { what, domains: BTreeSet::new(), when: OffsetDateTime::UNIX_EPOCH })
}

fn shielded(domain: &str) -> Judged {
    Judged { shields: [(domain.into(), "why".into())].into(), ..Judged::plain(Judgement::Balanced) }
}

#[test]
fn a_decision_is_keyed_by_region_and_run_and_written_in_words() {
    let decision = RunDecision { decided: decided(Choice::Released), ..decision(Judgement::Held) };
    assert_eq!(decision.key(), "us/7");
    let text = serde_json::to_string(&decision).unwrap();
    assert_eq!(
        text,
        r#"{"region":"us","run":7,"ended_at":"1970-01-01T00:00:00Z","mode":"full","kinds":["datasets"],"scope":[],"revision":0,"judged":{"state":"held","reason":null,"shields":{},"confirmed":{}},"decided":{"what":"released","domains":[],"when":"1970-01-01T00:00:00Z"}}"#
    );
    assert_eq!(serde_json::from_str::<RunDecision>(&text).unwrap(), decision);
}

#[test]
fn states_are_the_same_words_in_topic_and_tables() {
    for decision in LedgerState::ALL {
        assert_eq!(LedgerState::from_name(decision.name()), Some(decision));
        assert_eq!(serde_json::to_value(decision).unwrap(), decision.name());
    }
}

#[test]
fn decisions_of_the_first_format_keep_their_meaning() {
    let read = |state: &str| {
        let value = serde_json::json!({
            "region": "us", "run": 7, "state": state, "reason": null, "mode": "full", "kinds": ["datasets"],
            "ended_at": "1970-01-01T00:00:00Z", "decided_at": "1970-01-01T00:00:00Z"
        });
        serde_json::from_value::<RunDecision>(value).unwrap()
    };
    for state in ["balanced", "held", "released", "rejected", "ended", "abandoned"] {
        assert_eq!(read(state).state().name(), state);
    }
    assert_eq!(read("superseded").state(), LedgerState::Held);
    assert_eq!(read("released").decided, decided(Choice::Released));
}

#[test]
fn a_person_wins_over_a_rule_an_accepted_run_over_a_held_one_and_shields_add_up() {
    let (held, balanced) = (decision(Judgement::Held), decision(Judgement::Balanced));
    let rejected = RunDecision { decided: decided(Choice::Rejected), ..held.clone() };
    assert_eq!(held.clone().merge(rejected.clone()), rejected);
    assert_eq!(held.merge(balanced.clone()).state(), LedgerState::Balanced);
    let released = RunDecision { decided: decided(Choice::Released), ..rejected.clone() };
    assert_eq!(rejected.merge(released.clone()), released);
    let a = RunDecision { judged: shielded("a.example"), ..balanced.clone() };
    let b = RunDecision { judged: shielded("b.example"), ..balanced };
    let both: Vec<_> = a.judged.shields.keys().chain(b.judged.shields.keys()).cloned().collect();
    assert_eq!(a.merge(b).judged.shields.into_keys().collect::<Vec<_>>(), both);
}

#[test]
fn an_undone_decision_stays_undone_wherever_the_old_one_is_still_known() {
    let released = RunDecision { decided: decided(Choice::Released), ..decision(Judgement::Held) };
    let undone = RunDecision { decided: None, revision: 1, ..released.clone() };
    assert_eq!(released.clone().merge(undone.clone()), undone);
    assert_eq!(undone.clone().merge(released), undone);
}

#[test]
fn a_lifted_shield_is_none() {
    let domains = BTreeSet::from(["a.example".to_owned()]);
    let lifted = Decided { what: Choice::Released, domains, when: OffsetDateTime::UNIX_EPOCH };
    let mut decision = RunDecision { judged: shielded("a.example"), ..decision(Judgement::Balanced) };
    assert_eq!(decision.shields().count(), 1);
    decision.decided = Some(lifted);
    assert_eq!((decision.shields().count(), decision.state()), (0, LedgerState::Balanced));
}

fn any_domain() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a.example".to_owned(), "b.example".to_owned()])
}

fn any_judged() -> impl Strategy<Value = Judged> {
    let states = [Judgement::Abandoned, Judgement::Ended, Judgement::Held, Judgement::Balanced];
    let reason = || prop::sample::select(vec!["one".to_owned(), "two".to_owned()]);
    (
        prop::sample::select(states.to_vec()),
        prop::option::of(reason()),
        prop::collection::btree_map(any_domain(), reason(), 0..3),
        prop::collection::btree_map(any_domain(), 1_u32..4, 0..3),
    )
        .prop_map(|(state, reason, shields, confirmed)| Judged { state, reason, shields, confirmed })
}

fn any_decided() -> impl Strategy<Value = Decided> {
    let what = prop::sample::select(vec![Choice::Rejected, Choice::Released]);
    let domains = prop::collection::btree_set(any_domain(), 0..3);
    (what, domains, 0_i64..3).prop_map(|(what, domains, when)| Decided {
        what,
        domains,
        when: OffsetDateTime::from_unix_timestamp(when).unwrap(),
    })
}

fn any_decision() -> impl Strategy<Value = RunDecision> {
    (any_judged(), prop::option::of(any_decided()), 0_u32..2).prop_map(|(judged, decided, revision)| {
        RunDecision { judged, decided, revision, ..decision(Judgement::Held) }
    })
}

proptest! {
    /// Three installations end with the same decision in whatever order they see each other's.
    #[test]
    fn decisions_merge_in_any_order(a in any_decision(), b in any_decision(), c in any_decision()) {
        let merged = a.clone().merge(b.clone()).merge(c.clone());
        prop_assert_eq!(&a.clone().merge(b.clone().merge(c.clone())), &merged);
        prop_assert_eq!(&c.merge(a.clone()).merge(b.clone()), &merged);
        prop_assert_eq!(&a.clone().merge(a.clone()), &a);
        prop_assert_eq!(&merged.clone().merge(b), &merged);
    }
}
