//! Four eyes: who may approve what others, or they themselves, have placed.

use rampwatch::domain::actor::Actor;
use rampwatch::domain::order::{ApprovalReason, Order, OrderState, Placer};
use rampwatch::domain::payment::{Provenance, Terms};
use rampwatch::policy::approval::{Approvers, may_approve};

use super::orders::order_in;
use super::samples::payment;

fn placed(by: Placer, name: Option<&str>) -> Order {
    let state = OrderState::AwaitingApproval { why: ApprovalReason::TypedAddress };
    let placed_by_name = name.map(|name| Actor::new(name).unwrap());
    Order { placed_by: by, placed_by_name, ..order_in("p", state) }
}

#[test]
fn who_placed_an_order_does_not_approve_it() {
    use Approvers::{LocalOnly, Named};
    use Placer::{Auto, Person};
    let table = [
        // placed by, name, who approves, who there is, may
        (Person, Some("alice"), "bob", Named, true),
        (Person, Some("alice"), "alice", Named, false),
        // One's own order is one's own order, whoever else may approve.
        (Person, Some("alice"), "alice", LocalOnly, false),
        (Person, Some("alice"), "Alice", Named, true),
        (Person, Some("alice"), "local", Named, true),
        (Person, Some("alice"), "local", LocalOnly, true),
        (Person, Some("local"), "bob", Named, true),
        (Person, Some("local"), "local", Named, false),
        (Person, Some("local"), "local", LocalOnly, true),
        // From before names were kept: it was the machine's own token.
        (Person, None, "local", Named, false),
        (Person, None, "local", LocalOnly, true),
        (Person, None, "alice", Named, true),
        // The automatic mode is nobody.
        (Auto, None, "alice", Named, true),
        (Auto, None, "local", Named, true),
        (Auto, None, "local", LocalOnly, true),
    ];
    for (by, name, approver, approvers, may) in table {
        let got = may_approve(&placed(by, name), None, &Actor::new(approver).unwrap(), approvers);
        assert_eq!(got.is_ok(), may, "{by:?} {name:?} approved by {approver}, {approvers:?}: {got:?}");
        if let Err(refusal) = got {
            let text = refusal.to_string();
            assert!(text.contains("p:1") && text.contains(approver) && text.contains("somebody else"), "{text}");
        }
    }
}

/// Terms of which somebody typed one, in each of the ways that there are.
fn typed(by: Option<&str>) -> Vec<Terms> {
    use Provenance::Typed;
    let terms = Terms { typed_by: by.map(|name| Actor::new(name).unwrap()), ..payment("p").terms };
    vec![
        Terms { address_from: Typed, ..terms.clone() },
        Terms { amount_from: Typed, ..terms.clone() },
        Terms { recipient_from: Some(Typed), ..terms.clone() },
        Terms { expiry_from: Some(Typed), ..terms.clone() },
        Terms { sender_from: Some(Typed), ..terms },
    ]
}

#[test]
fn f4_who_typed_a_term_does_not_approve_it_whoever_placed_the_order() {
    use Approvers::{LocalOnly, Named};
    use Placer::{Auto, Person};
    for (by, name, typist, approver, approvers, may) in [
        (Auto, None, Some("alice"), "alice", Named, false),
        (Auto, None, Some("alice"), "bob", Named, true),
        (Auto, None, Some("local"), "local", Named, false),
        (Auto, None, Some("local"), "local", LocalOnly, true),
        (Person, Some("bob"), Some("alice"), "alice", Named, false),
        (Person, Some("bob"), Some("alice"), "bob", Named, false),
        (Person, Some("bob"), Some("alice"), "carol", Named, true),
        // From before names were kept: nobody knows who typed it, so anybody but the placer may.
        (Person, Some("bob"), None, "alice", Named, true),
        (Person, Some("bob"), None, "bob", Named, false),
        (Auto, None, None, "alice", Named, true),
    ] {
        for terms in typed(typist) {
            let got = may_approve(&placed(by, name), Some(&terms), &Actor::new(approver).unwrap(), approvers);
            assert_eq!(got.is_ok(), may, "{by:?} {name:?}, typed by {typist:?}, approved by {approver}: {got:?}");
        }
    }
    let told = Terms { typed_by: Some(Actor::new("alice").unwrap()), ..payment("p").terms };
    let alice = Actor::new("alice").unwrap();
    assert!(may_approve(&placed(Auto, None), Some(&told), &alice, Named).is_ok(), "all of it is the API's word");
}
