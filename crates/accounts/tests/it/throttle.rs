//! How many guesses are evaluated, whatever the attacker does.

use std::{collections::VecDeque, net::IpAddr, time::Duration};

use merx_accounts::domain::{
    newcomers::{MEMORY, NEWCOMERS_OF_AN_ACCOUNT_MAX, PATIENCE},
    throttle::{ACCOUNTS_MAX, GUESSES_MAX, GUESSES_OF_A_NETWORK_MAX, Throttle, Ticket, WINDOW},
};
use merx_http::ClientAddress;
use merx_kernel::Timestamp;
use proptest::prelude::*;

use crate::kit::START;

fn network(n: u16) -> ClientAddress {
    let [high, low] = n.to_be_bytes();
    ClientAddress(IpAddr::from([203, 0, high, low]))
}
fn after(millis: i64) -> Timestamp {
    Timestamp::from_millis(START.as_millis() + millis)
}

proptest! {
    fn no_window_has_more_guesses_than_allowed(
        guesses in proptest::collection::vec((0..40_000i64, 0..6u16, any::<bool>()), 0..200)
    ) {
        let mut throttle = Throttle::default();
        let mut admitted: VecDeque<(Timestamp, u16)> = VecDeque::new();
        let (mut now, mut turns) = (0, [0; 6]);
        for (pause, from, known) in guesses {
            now += pause;
            match throttle.admit([1; 32], network(from), known, after(now)) {
                Ok(Ticket::Counted { .. }) => admitted.push_back((after(now), from)),
                Ok(Ticket::Turn { .. }) => turns[usize::from(from)] += 1,
                Err(_) => {}
            }
            let open = |at: Timestamp| at.plus(WINDOW) > after(now);
            let all = admitted.iter().filter(|(at, _)| open(*at)).count();
            let one = admitted.iter().filter(|(at, n)| open(*at) && *n == from).count();
            prop_assert!(all <= GUESSES_MAX && one <= GUESSES_OF_A_NETWORK_MAX);
            prop_assert!(turns.iter().all(|t| *t <= 1), "a network has one turn in a day: {turns:?}");
        }
    }

    fn the_owner_at_home_always_has_a_try(guesses in proptest::collection::vec((0..5_000i64, 0..250u16), 0..300)) {
        let mut throttle = Throttle::default();
        let mut now = 0;
        for (pause, from) in guesses {
            now += pause;
            let _ = throttle.admit([1; 32], network(from), false, after(now));
            let home = throttle.admit([1; 32], network(251), true, after(now));
            prop_assert!(home.is_ok());
            let _ = home.map(|ticket| throttle.forgive(ticket));
        }
    }

    fn whoever_waits_as_told_is_let_in(from in 0..3u16, count in 1..30usize) {
        let mut throttle = Throttle::default();
        let mut now = START;
        for _ in 0..count {
            if let Err(wait) = throttle.admit([1; 32], network(from), false, now) {
                now = now.plus(wait);
                prop_assert!(throttle.admit([1; 32], network(from), false, now).is_ok());
            }
        }
    }
}

/// Guesses of an attacker with so many networks, each of them again and again, between two tries of the owner.
fn attack(throttle: &mut Throttle, networks: u16, now: Timestamp) -> usize {
    let guess = |from| throttle.admit([1; 32], network(from), false, now).is_ok();
    (0..networks).map(guess).filter(|evaluated| *evaluated).count()
}

fn the_owner_at_a_new_place_waits_fifteen_minutes_at_most() {
    const OWNER: ClientAddress = ClientAddress(IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 7)));
    // The attacker has been at it for an hour, or begins in the same moment.
    for minutes in [0, 60] {
        let (mut throttle, mut now) = (Throttle::default(), START);
        let networks = u16::try_from(NEWCOMERS_OF_AN_ACCOUNT_MAX).unwrap() - 1;
        for _ in 0..minutes {
            now = now.plus(Duration::from_secs(60));
            attack(&mut throttle, networks, now);
        }
        let began = now;
        loop {
            attack(&mut throttle, networks, now);
            match throttle.admit([1; 32], OWNER, false, now) {
                Ok(_) => break,
                Err(wait) => now = now.plus(wait),
            }
        }
        assert!(now.since(began) <= Duration::from_secs(15 * 60), "{:?}", now.since(began));
    }
}

fn what_newcomers_cost_is_bounded() {
    let (mut throttle, mut now, mut evaluated) = (Throttle::default(), START, 0);
    let step = Duration::from_secs(150);
    while now.since(START) < MEMORY {
        evaluated += attack(&mut throttle, 1_500, now);
        now = now.plus(step);
    }
    let windows = usize::try_from(MEMORY.as_secs() / WINDOW.as_secs()).unwrap();
    assert!(evaluated <= windows * GUESSES_MAX + NEWCOMERS_OF_AN_ACCOUNT_MAX, "{evaluated}");
    assert!(evaluated > NEWCOMERS_OF_AN_ACCOUNT_MAX, "{evaluated}");
}

fn a_turn_is_had_once_and_can_be_given_back() {
    let mut throttle = Throttle::default();
    attack(&mut throttle, 10, START);
    let newcomer = network(999);
    let ask = |throttle: &mut Throttle, now: Timestamp| {
        attack(throttle, 10, now);
        throttle.admit([1; 32], newcomer, false, now)
    };
    let refused = ask(&mut throttle, START).unwrap_err();
    assert!(refused <= WINDOW, "{refused:?}");
    let turn = START.plus(PATIENCE);
    assert!(ask(&mut throttle, turn.minus(Duration::from_millis(1))).is_err());
    let ticket = ask(&mut throttle, turn).unwrap();
    assert!(matches!(ticket, Ticket::Turn { .. }));
    assert!(ask(&mut throttle, turn).is_err(), "once");
    throttle.forgive(ticket);
    assert_eq!(ask(&mut throttle, turn), Ok(ticket), "given back");
    assert!(ask(&mut throttle, turn.plus(PATIENCE)).is_err(), "waiting again earns no other turn that day");
}

fn the_number_of_accounts_remembered_is_bounded() {
    let mut throttle = Throttle::default();
    let subject = |n: usize| {
        let mut out = [0u8; 32];
        out[..8].copy_from_slice(&n.to_be_bytes());
        out
    };
    for n in 0..ACCOUNTS_MAX + 10 {
        for _ in 0..GUESSES_OF_A_NETWORK_MAX {
            throttle.admit(subject(n), network(1), false, START).unwrap();
        }
    }
    assert!(
        throttle.admit(subject(ACCOUNTS_MAX), network(1), false, START).is_err(),
        "the latest is remembered"
    );
    assert!(throttle.admit(subject(0), network(1), false, START).is_ok(), "the first was forgotten");
}

pub fn trials() -> Vec<libtest_mimic::Trial> {
    crate::trials!("throttle": no_window_has_more_guesses_than_allowed, the_owner_at_home_always_has_a_try, whoever_waits_as_told_is_let_in, the_owner_at_a_new_place_waits_fifteen_minutes_at_most, what_newcomers_cost_is_bounded, a_turn_is_had_once_and_can_be_given_back, the_number_of_accounts_remembered_is_bounded; waiting )
}
