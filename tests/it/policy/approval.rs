//! Four eyes: who may approve what others, or they themselves, have placed.

use rampwatch::domain::actor::Actor;
use rampwatch::domain::order::{ApprovalReason, Order, OrderState, Placer};
use rampwatch::policy::approval::{Approvers, may_approve};

use super::orders::order_in;

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
        let got = may_approve(&placed(by, name), &Actor::new(approver).unwrap(), approvers);
        assert_eq!(got.is_ok(), may, "{by:?} {name:?} approved by {approver}, {approvers:?}: {got:?}");
        if let Err(refusal) = got {
            let text = refusal.to_string();
            assert!(text.contains("p:1") && text.contains(approver) && text.contains("somebody else"), "{text}");
        }
    }
}
