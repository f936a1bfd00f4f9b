//! Carts that nobody touches for long go, and those of people who were erased.

use std::{sync::Arc, time::Duration};

use libtest_mimic::Trial;
use merx_cart::{Settings, commands::sweep};
use merx_contracts::{
    events::accounts::{GuestLoggedIn, PersonErased},
    ids::AccountId,
};
use merx_kernel::{Id, Role};

use crate::bench::{Bench, on_every_mode};

pub fn trials() -> Vec<Trial> {
    [
        crate::trials!("expiry": what_may_be_set),
        on_every_mode("expiry::guests_sooner_than_members", guests_sooner_than_members),
        on_every_mode("expiry::every_change_counts", every_change_counts),
        on_every_mode("expiry::many_go_in_chunks", many_go_in_chunks),
        on_every_mode("expiry::an_erased_person_has_no_cart", an_erased_person_has_no_cart),
        on_every_mode("expiry::nothing_comes_back_after_an_erasure", nothing_comes_back_after_an_erasure),
    ]
    .into_iter()
    .flatten()
    .collect()
}

const DAY: Duration = Duration::from_secs(86_400);

fn account(id: u128) -> AccountId {
    Id::from_bits(id)
}

fn what_may_be_set() {
    assert!(Settings::default().check().is_ok());
    let wrong = Settings { guest_expiry_s: 1, member_expiry_s: u64::MAX }.check().unwrap_err();
    let fields: Vec<_> = wrong.fields().iter().map(|f| f.pointer.as_str()).collect();
    assert_eq!(
        (wrong.code(), fields),
        ("config.invalid", vec!["cart.guest_expiry_s", "cart.member_expiry_s"])
    );
}

async fn guests_sooner_than_members(bench: Arc<Bench>) {
    let (guest, member) = (bench.buyer(account(1), Role::Guest), bench.buyer(account(2), Role::Customer));
    guest.fill(&[("TEA", 1), ("POT", 1)]).await;
    member.fill(&[("TEA", 1)]).await;
    bench.clock.advance(30 * DAY);
    sweep(&bench.state).await.unwrap();
    assert_eq!(bench.rows().await, [3, 2, 0], "thirty days to the moment are not over");
    bench.clock.advance(Duration::from_millis(1));
    sweep(&bench.state).await.unwrap();
    assert_eq!(bench.rows().await, [1, 1, 0]);
    assert!(guest.lines().await.is_empty());
    bench.clock.advance(150 * DAY);
    sweep(&bench.state).await.unwrap();
    assert_eq!(bench.rows().await, [0, 0, 0]);
    // A cart that went can be filled again.
    guest.fill(&[("TEA", 1)]).await;
    bench.check_counts().await;
}

async fn every_change_counts(bench: Arc<Bench>) {
    let guest = bench.buyer(account(1), Role::Guest);
    guest.fill(&[("TEA", 1), ("POT", 1)]).await;
    bench.clock.advance(20 * DAY);
    // Only a line's row is written here.
    guest.fill(&[("TEA", 2)]).await;
    bench.clock.advance(20 * DAY);
    sweep(&bench.state).await.unwrap();
    assert_eq!(guest.lines().await.len(), 2, "the whole cart is as young as its youngest line");
    bench.check_counts().await;
    guest.delete("/v1/cart/lines/TEA").await;
    bench.clock.advance(20 * DAY);
    sweep(&bench.state).await.unwrap();
    assert_eq!(guest.lines().await.len(), 1, "taking a line out is a change too");
    bench.clock.advance(20 * DAY);
    sweep(&bench.state).await.unwrap();
    assert_eq!(bench.rows().await, [0, 0, 0]);
}

async fn many_go_in_chunks(bench: Arc<Bench>) {
    for id in 1..=45 {
        bench.buyer(account(id), Role::Guest).fill(&[("TEA", 1)]).await;
    }
    bench.buyer(account(99), Role::Customer).fill(&[("TEA", 1)]).await;
    bench.clock.advance(31 * DAY);
    assert_eq!(sweep(&bench.state).await.unwrap(), 45);
    assert_eq!(bench.rows().await, [1, 1, 0]);
    assert_eq!(sweep(&bench.state).await.unwrap(), 0);
}

async fn an_erased_person_has_no_cart(bench: Arc<Bench>) {
    let (guest, member, other) = (account(1), account(2), account(3));
    bench.buyer(guest, Role::Guest).fill(&[("TEA", 1)]).await;
    bench.buyer(member, Role::Customer).fill(&[("POT", 1)]).await;
    bench.buyer(other, Role::Customer).fill(&[("POT", 1)]).await;
    bench.hand_over(&GuestLoggedIn { guest_id: guest, account_id: member }).await;
    assert_eq!(bench.rows().await, [3, 3, 1]);
    bench.hand_over(&PersonErased { account_id: member }).await;
    assert_eq!(bench.rows().await, [1, 3, 0], "a mark is left");
    assert!(bench.buyer(member, Role::Customer).lines().await.is_empty());
    assert_eq!(bench.buyer(other, Role::Customer).lines().await.len(), 1);
}

/// What comes after the erasure, late or by a request under way, brings nothing back; the mark goes with time.
async fn nothing_comes_back_after_an_erasure(bench: Arc<Bench>) {
    let (guest, erased) = (account(1), account(2));
    bench.buyer(guest, Role::Guest).fill(&[("TEA", 1)]).await;
    bench.hand_over(&PersonErased { account_id: erased }).await;
    bench.hand_over(&GuestLoggedIn { guest_id: guest, account_id: erased }).await;
    assert_eq!(bench.rows().await, [0, 2, 0], "the guest's cart was the person's");
    assert_ne!(bench.buyer(erased, Role::Customer).put("POT", 1).await.status, 204);
    assert!(bench.buyer(erased, Role::Customer).lines().await.is_empty());
    bench.clock.advance(181 * DAY);
    sweep(&bench.state).await.unwrap();
    assert_eq!(bench.rows().await, [0, 0, 0]);
}
