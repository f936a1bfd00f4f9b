//! Calls over real sockets.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::plain;
use axum::{Router, extract::State};
use futures_util::future::join_all;
use libtest_mimic::Trial;
use merx_payment::provider::{Network, Outbound as _};
use tokio::{net::TcpListener, sync::Semaphore};

pub fn trials() -> Vec<Trial> {
    plain!["network":
        calls_under_way_are_bounded_and_the_rest_wait_their_turn,
    ]
}

/// A provider that answers when it is let.
#[derive(Clone)]
struct Slow {
    here: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    arrived: Arc<Semaphore>,
    answers: Arc<Semaphore>,
}

async fn serve(State(slow): State<Slow>) -> &'static str {
    let here = slow.here.fetch_add(1, Ordering::SeqCst) + 1;
    slow.most.fetch_max(here, Ordering::SeqCst);
    slow.arrived.add_permits(1);
    slow.answers.acquire().await.unwrap().forget();
    slow.here.fetch_sub(1, Ordering::SeqCst);
    "done"
}

/// Runs `test` beside a slow provider at the URL it is given.
fn beside<F: Future<Output = ()>>(test: impl FnOnce(Slow, String) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let slow = Slow {
            here: Arc::default(),
            most: Arc::default(),
            arrived: Arc::new(Semaphore::new(0)),
            answers: Arc::new(Semaphore::new(0)),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/gateway.do", listener.local_addr().unwrap());
        let provider = axum::serve(listener, Router::new().fallback(serve).with_state(slow.clone()));
        tokio::select! {
            biased;
            () = test(slow, url) => {}
            ended = async { provider.await } => panic!("the provider ended: {ended:?}"),
        }
    });
}

const FORM: &str = "application/x-www-form-urlencoded";

fn calls_under_way_are_bounded_and_the_rest_wait_their_turn() {
    beside(|slow, url| async move {
        let network = Network::new().unwrap();
        let calls = (0..2 * Network::CALLS_MAX + 1).map(|_| network.post(&url, FORM, "a=b".to_owned()));
        let release = async {
            for _ in 0..2 * Network::CALLS_MAX + 1 {
                slow.arrived.acquire().await.unwrap().forget();
                // The house is full before the first is answered.
                if slow.most.load(Ordering::SeqCst) == Network::CALLS_MAX {
                    slow.answers.add_permits(2 * Network::CALLS_MAX + 1);
                }
            }
        };
        let (answers, ()) = tokio::join!(join_all(calls), release);
        assert!(answers.iter().all(|answer| answer.as_deref().unwrap() == b"done"));
        assert_eq!(slow.most.load(Ordering::SeqCst), Network::CALLS_MAX);
    });
}
