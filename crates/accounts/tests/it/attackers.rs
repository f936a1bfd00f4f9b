//! T34 and T35: who guesses, from one place or from everywhere, and who has got hold of somebody's tokens.

#![allow(clippy::print_stdout, reason = "figures are shown with --nocapture")]

use std::{collections::VecDeque, time::Duration};

use merx_accounts::domain::throttle::{GUESSES_MAX, WINDOW};
use merx_kernel::{Role, Timestamp};
use serde_json::{Value, json};

use crate::{
    kit::{PASSWORD, World, delete, get, post, put},
    staff::{INVITED, code, invite},
};

/// What the list allows an owner to be kept out.
const LOCK_OUT_MAX: Duration = Duration::from_secs(15 * 60);
const HOME: &str = "198.51.100.7";

fn size(id: &str, default: usize) -> usize {
    std::env::var(id).map_or(default, |text| text.parse().expect("a number"))
}

/// Addresses of as many networks, none of them the owner's.
fn networks(count: usize) -> Vec<&'static str> {
    let address = |n: usize| -> &'static str { format!("203.{}.{}.1", n / 250, n % 250).leak() };
    (0..count).map(address).collect()
}

/// When guesses were evaluated, and the most in any five minutes.
#[derive(Default)]
struct Evaluated {
    window: VecDeque<Timestamp>,
    all: u64,
    most: usize,
}

impl Evaluated {
    fn note(&mut self, world: &World, before: u64) {
        let now = world.deps.now();
        self.window.retain(|at| at.plus(WINDOW) > now);
        for _ in before..world.passwords_evaluated() {
            self.window.push_back(now);
            self.all += 1;
        }
        self.most = self.most.max(self.window.len());
    }
}

/// Guesses at one password, from these networks in turn, so long apart.
async fn guess(world: &World, from: &[&'static str], count: usize, apart: Duration) -> Evaluated {
    let mut evaluated = Evaluated::default();
    for number in 0..count {
        let before = world.passwords_evaluated();
        let network = from[number % from.len()];
        let reply = world.log_in("victim@example.com", &format!("guess {number}"), network).await;
        assert!(matches!(reply.status.as_u16(), 401 | 429), "{reply:?}");
        evaluated.note(world, before);
        world.pass(apart).await;
    }
    evaluated
}

async fn ten_guesses_in_five_minutes_from_one_place_or_a_few() {
    let guesses = size("MERX_T34", 600);
    for (what, places) in [("one network", 1), ("three networks", 3)] {
        let world = World::new().await;
        world.account("victim@example.com", &[Role::Customer]).await;
        let seen = guess(&world, &networks(places), guesses, Duration::from_secs(2)).await;
        assert!(seen.most <= GUESSES_MAX, "{} in five minutes from {what}", seen.most);
        assert!(seen.all >= 5, "nothing was evaluated at all");
        println!(
            "PROOF | T34 | brute force from {what} | size={guesses} | at most {} guesses evaluated in any 5 minutes, {} of \
             {guesses} in all | seed=-",
            seen.most, seen.all,
        );
    }
}

/// Many networks that wait as they are told: each has one turn a day beyond the ten, and no more.
async fn guesses_from_everywhere_are_ten_and_a_turn_for_each_network() {
    let places = size("MERX_T34", 600) / 10;
    let world = World::new().await;
    world.account("victim@example.com", &[Role::Customer]).await;
    let from = networks(places);
    // Six hours, each network every five minutes.
    let rounds = 72;
    let seen = guess(&world, &from, places * rounds, WINDOW / u32::try_from(places).unwrap()).await;
    let windows = u64::try_from(rounds).unwrap() + 1;
    let counted = windows * u64::try_from(GUESSES_MAX).unwrap();
    let turns = u64::try_from(places.min(1_000)).unwrap();
    assert!(seen.all <= counted + turns, "{} evaluated: {counted} and {turns} turns are allowed", seen.all);
    println!(
        "PROOF | T34 | credential stuffing at one account from {places} networks for six hours | size={} | {} evaluated \
         ({:.1} in 5 minutes on average, {} at the most, turns of newcomers included: one a network a day) | seed=-",
        places * rounds,
        seen.all,
        seen.all as f64 / f64::from(u32::try_from(rounds).unwrap()),
        seen.most,
    );
}

/// Many pairs of names and passwords from many networks: one network gets no further than its own limit.
async fn pairs_of_a_leak_are_tried_at_the_pace_of_a_network_only() {
    let pairs = size("MERX_T34", 600);
    let settings = merx_accounts::Settings::default();
    let (per_minute, burst) =
        (u64::from(settings.logins_per_minute_max), u64::from(settings.login_burst_max));
    let world = World::with(settings).await;
    let before = world.passwords_evaluated();
    let began = world.deps.now();
    let mut limited = 0;
    for number in 0..pairs {
        let reply = world.log_in(&format!("leaked{number}@example.com"), "leaked", "203.0.113.1").await;
        limited += usize::from(reply.status == 429);
        world.pass(Duration::from_millis(100)).await;
    }
    let evaluated = world.passwords_evaluated() - before;
    let seconds = world.deps.now().since(began).as_secs();
    assert!(evaluated <= burst + per_minute * seconds / 60 + 1, "{evaluated} in {seconds} s");
    println!(
        "PROOF | T34 | pairs of a leak from one network, ten a second | size={pairs} | {evaluated} evaluated in {seconds} s, \
         {limited} refused unseen | seed=-"
    );
}

async fn an_owner_is_not_kept_out() {
    let places = size("MERX_T34", 600) / 15;
    let world = World::new().await;
    world.account("victim@example.com", &[Role::Customer]).await;
    world.log_in("victim@example.com", PASSWORD, HOME).await.is(201);
    let attackers = networks(places);
    let (mut waited, mut at_home) = (Duration::ZERO, 0);
    loop {
        for network in &attackers {
            world.log_in("victim@example.com", "guess", network).await;
        }
        // At a known place the owner is let in at any moment.
        world.log_in("victim@example.com", PASSWORD, HOME).await.is(201);
        at_home += 1;
        let reply = world.log_in("victim@example.com", PASSWORD, "198.18.0.9").await;
        if reply.status == 201 {
            break;
        }
        let wait: u64 = reply.headers["retry-after"].to_str().unwrap().parse().unwrap();
        waited += Duration::from_secs(wait);
        assert!(waited <= LOCK_OUT_MAX, "kept out for {waited:?} by {places} networks");
        world.pass(Duration::from_secs(wait)).await;
    }
    println!(
        "PROOF | T34 | an owner while {places} networks guess | size={places} | at a known place let in {at_home} of {at_home} \
         times at once, at a new place after {} s | seed=-",
        waited.as_secs(),
    );
}

async fn a_code_bears_five_guesses_from_wherever() {
    let places = size("MERX_T34", 600) / 3;
    let world = World::new().await;
    let admin = world.admin().await;
    invite(&world, &admin, &["support"]).await;
    let right = code(&world).await;
    let mut wrong = 0;
    for (number, network) in networks(places).into_iter().enumerate() {
        let body = json!({ "email": INVITED, "code": format!("{number:04}-0000"), "password": PASSWORD });
        let reply = world.ask(post("/v1/invitations/acceptance", body).from(network)).await;
        wrong += usize::from(reply.status == 401);
        world.pass(Duration::from_secs(60)).await;
    }
    assert!(wrong > 5, "no more than five were looked at; nothing is shown");
    let body = json!({ "email": INVITED, "code": right, "password": PASSWORD });
    let reply = world.ask(post("/v1/invitations/acceptance", body).from("198.51.100.7")).await;
    reply.is_problem(401, "accounts.code_wrong");
    println!(
        "PROOF | T34 | guesses at a mailed code of 40 bits from {places} networks | size={places} | 5 evaluated, then the right code \
         is dead too | seed=-"
    );
}

fn median(samples: &mut [Duration]) -> Duration {
    samples.sort_unstable();
    samples[samples.len() / 2]
}

/// The work is the same, which is asserted (and of the statements `log_in` asserts it); the time is a figure.
#[allow(clippy::disallowed_methods, reason = "the figure is real time; nothing is decided by it")]
async fn known_and_unknown_names_cost_the_same() {
    let samples = size("MERX_T34_SAMPLES", 40);
    let world = World::new().await;
    world.account("known@example.com", &[Role::Customer]).await;
    let mut took = [Vec::new(), Vec::new()];
    for sample in 0..samples + 5 {
        let unknown = format!("unknown{sample}@example.com");
        let mut spent = Vec::new();
        // In turns, each first as often as the other.
        let order = if sample % 2 == 0 { [0, 1] } else { [1, 0] };
        for which in order {
            let email = if which == 0 { "known@example.com" } else { &unknown };
            let hashed = world.passwords_evaluated();
            let began = std::time::Instant::now();
            world
                .log_in(email, "wrong password", "192.0.2.1")
                .await
                .is_problem(401, "accounts.credentials_wrong");
            let lasted = began.elapsed();
            spent.push(world.passwords_evaluated() - hashed);
            // The first few warm up.
            if sample >= 5 {
                took[which].push(lasted);
            }
        }
        assert_eq!(spent, [1, 1], "evaluations of Argon2id");
        world.pass(WINDOW).await;
    }
    let [known, unknown] = took.each_mut().map(|samples| median(samples));
    let apart = known.abs_diff(unknown).as_secs_f64() / known.as_secs_f64() * 100.0;
    println!(
        "PROOF | T34 | a name that exists and one that does not | size={samples} | one Argon2id each; median \
         {:.2} ms and {:.2} ms, {apart:.2} % apart | seed=-",
        known.as_secs_f64() * 1_000.0,
        unknown.as_secs_f64() * 1_000.0,
    );
}

async fn refreshed(world: &World, token: &Value) -> crate::kit::Reply {
    world.ask(post("/v1/sessions/refresh", json!({ "refresh_token": token }))).await
}

/// A refresh token that comes back ends its session, whichever of its family it is.
async fn every_refresh_token_that_comes_back_kills_its_family() {
    let families = size("MERX_T35", 30);
    let world = World::new().await;
    world.account("a@example.com", &[Role::Customer]).await;
    for family in 0..families {
        let mut tokens = vec![world.log_in("a@example.com", PASSWORD, "192.0.2.1").await.is(201)];
        for _ in 0..=family % 6 {
            let last = &tokens[tokens.len() - 1]["refresh_token"];
            tokens.push(refreshed(&world, last).await.is(200));
        }
        let stolen = family % (tokens.len() - 1);
        refreshed(&world, &tokens[stolen]["refresh_token"])
            .await
            .is_problem(401, "accounts.refresh_token_reused");
        for pair in &tokens {
            world.ask(get("/v1/me").token(pair)).await.is_problem(401, "request.token_revoked");
            refreshed(&world, &pair["refresh_token"]).await.is_problem(401, "accounts.refresh_token_invalid");
        }
    }
    println!(
        "PROOF | T35 | a refresh token used again | size={families} | {families} of {families} families dead at once, every access \
         and refresh token of theirs | seed=-"
    );
}

/// Every way in which a session ends, each at once.
async fn what_ends_sessions_ends_them_at_once() {
    let accounts = size("MERX_T35", 30).div_ceil(5);
    let world = World::new().await;
    let admin = world.admin().await;
    let mut ended = 0;
    for number in 0..accounts {
        let email = format!("member{number}@example.com");
        world.account(&email, &[Role::Customer]).await;
        let mut open = Vec::new();
        for _ in 0..6 {
            open.push(world.log_in(&email, PASSWORD, "192.0.2.1").await.is(201));
        }
        let key = json!({ "name": "till", "scopes": ["shop"] });
        let key = world.ask(post("/v1/api-keys", key).token(&open[0]).key("k")).await.is(201);
        let gone = async |token: &Value| {
            world.ask(get("/v1/me").token(token)).await.is_problem(401, "request.token_revoked");
            refreshed(&world, &token["refresh_token"])
                .await
                .is_problem(401, "accounts.refresh_token_invalid");
        };
        world.ask(delete("/v1/sessions/current").token(&open[5])).await.is(204);
        gone(&open[5]).await;
        let path = format!("/v1/sessions/{}", open[4]["session_id"].as_str().unwrap());
        world.ask(delete(path).token(&open[0])).await.is(204);
        gone(&open[4]).await;
        let account = open[0]["account_id"].as_str().unwrap();
        let path =
            format!("/v1/admin/accounts/{account}/sessions/{}", open[3]["session_id"].as_str().unwrap());
        world.ask(delete(path).token(&admin)).await.is(204);
        gone(&open[3]).await;
        // A new password ends every session but the one it was set by. A program's key is a credential of its own, listed
        // and revoked by itself: it goes on, as an account's keys do elsewhere.
        let change = json!({ "password": PASSWORD, "new_password": "another horse battery" });
        world.ask(put("/v1/account/password", change).token(&open[0])).await.is(204);
        gone(&open[1]).await;
        gone(&open[2]).await;
        world.ask(get("/v1/me").token(&open[0])).await.is(200);
        // A key that is not good any more would be a 401.
        let by_key = world.ask(get("/v1/me").bearer(key["secret"].as_str().unwrap())).await;
        by_key.is_problem(403, "request.session_required");
        let listed = world.ask(get("/v1/api-keys").token(&open[0])).await.is(200);
        assert_eq!(listed["items"].as_array().unwrap().len(), 1);
        world.log_in(&email, PASSWORD, "192.0.2.1").await.is_problem(401, "accounts.credentials_wrong");
        ended += 5;
    }
    println!(
        "PROOF | T35 | sessions ended by log-out, from another device, by staff, by a new password | size={ended} | {ended} of {ended} \
         refused by the next request, 0 s later; API keys of the account go on, listed and revocable one by one | seed=-"
    );
}

/// Fixation: whatever a client was made to bring along, a log-in makes a session of its own.
async fn a_log_in_takes_over_nothing_it_is_brought() {
    let log_ins = size("MERX_T35", 30);
    let world = World::new().await;
    let planted = world.customer("attacker@example.com").await;
    world.account("victim@example.com", &[Role::Customer]).await;
    let [token, session] = ["access_token", "session_id"].map(|name| planted[name].as_str().unwrap());
    for number in 0..log_ins {
        let ask = post("/v1/sessions", json!({ "email": "victim@example.com", "password": PASSWORD }));
        let ask = match number % 4 {
            0 => ask.header("cookie", &format!("session={session}; access_token={token}")),
            1 => ask.token(&planted),
            2 => ask.header("x-session-id", session).header("x-request-id", session),
            _ => ask.header("idempotency-key", session),
        };
        let victim = world.ask(ask).await.is(201);
        for name in ["session_id", "access_token", "refresh_token", "account_id"] {
            assert_ne!(victim[name], planted[name], "{name}");
        }
    }
    let still = world.ask(get("/v1/me").token(&planted)).await.is(200);
    assert_eq!(still["account_id"], planted["account_id"], "the planted session became the victim's");
    println!(
        "PROOF | T35 | fixation: a session brought along to a log-in as cookie, token, header or key | size={log_ins} | 0 of \
         {log_ins} taken over | seed=-"
    );
}

pub fn trials() -> Vec<libtest_mimic::Trial> {
    crate::trials!("attackers": ; waiting ten_guesses_in_five_minutes_from_one_place_or_a_few,
        guesses_from_everywhere_are_ten_and_a_turn_for_each_network,
        pairs_of_a_leak_are_tried_at_the_pace_of_a_network_only, an_owner_is_not_kept_out,
        a_code_bears_five_guesses_from_wherever, known_and_unknown_names_cost_the_same,
        every_refresh_token_that_comes_back_kills_its_family, what_ends_sessions_ends_them_at_once,
        a_log_in_takes_over_nothing_it_is_brought)
}
