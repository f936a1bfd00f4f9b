//! How many guesses are evaluated, whatever the attacker does.

use std::{collections::VecDeque, net::IpAddr};

use merx_accounts::domain::throttle::{
    ACCOUNTS_MAX, GUESSES_MAX, GUESSES_OF_A_NETWORK_MAX, Throttle, WINDOW,
};
use merx_http::ClientAddress;
use merx_kernel::Timestamp;
use proptest::prelude::*;

use crate::kit::START;

fn network(n: u8) -> ClientAddress {
    ClientAddress(IpAddr::from([203, 0, 113, n]))
}
fn after(millis: i64) -> Timestamp {
    Timestamp::from_millis(START.as_millis() + millis)
}

proptest! {
    #[test]
    fn no_window_has_more_guesses_than_allowed(
        guesses in proptest::collection::vec((0..40_000i64, 0..6u8, any::<bool>()), 0..200)
    ) {
        let mut throttle = Throttle::default();
        let mut admitted: VecDeque<(Timestamp, u8)> = VecDeque::new();
        let mut now = 0;
        for (pause, from, known) in guesses {
            now += pause;
            if throttle.admit([1; 32], network(from), known, after(now)).is_ok() {
                admitted.push_back((after(now), from));
            }
            let open = |at: Timestamp| at.plus(WINDOW) > after(now);
            let all = admitted.iter().filter(|(at, _)| open(*at)).count();
            let one = admitted.iter().filter(|(at, n)| open(*at) && *n == from).count();
            prop_assert!(all <= GUESSES_MAX && one <= GUESSES_OF_A_NETWORK_MAX);
        }
    }

    #[test]
    fn the_owner_at_home_always_has_a_try(guesses in proptest::collection::vec((0..5_000i64, 0..250u8), 0..300)) {
        let mut throttle = Throttle::default();
        let mut now = 0;
        for (pause, from) in guesses {
            now += pause;
            let _ = throttle.admit([1; 32], network(from), false, after(now));
            let home = throttle.admit([1; 32], network(251), true, after(now));
            prop_assert!(home.is_ok());
            throttle.forgive([1; 32], home.unwrap_or_default());
        }
    }

    #[test]
    fn whoever_waits_as_told_is_let_in(from in 0..3u8, count in 1..30usize) {
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

#[test]
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
