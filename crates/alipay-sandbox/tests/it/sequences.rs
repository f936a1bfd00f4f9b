//! Random walks over one trade: whatever is asked in whatever order, the ledger stays right.

use merx_alipay::{Close, Outcome, Refund, Yuan};
use merx_alipay_sandbox::{EntryKind, Fault, Spoiled};
use proptest::{
    prelude::{Strategy, any, prop_oneof},
    test_runner::{Config, TestRunner},
};

use crate::world::{World, no, secs};

#[derive(Clone, Debug)]
enum Act {
    LogIn,
    Pay,
    Close,
    Refund(u8, i64),
    Wait(u64),
    Spoil(bool),
    LandLate,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        1 => proptest::strategy::Just(Act::LogIn),
        3 => proptest::strategy::Just(Act::Pay),
        1 => proptest::strategy::Just(Act::Close),
        6 => (0u8..4, 1i64..700).prop_map(|(number, fen)| Act::Refund(number, fen)),
        3 => (1u64..600).prop_map(Act::Wait),
        1 => any::<bool>().prop_map(Act::Spoil),
        1 => proptest::strategy::Just(Act::LandLate),
    ];
    proptest::collection::vec(act, 1..30)
}

async fn walk(acts: Vec<Act>) {
    let world = World::new().await;
    let code = world.opened("a1", 1_000).await;
    let mut moved = 0;
    for act in acts {
        match act {
            Act::LogIn => drop(world.sandbox.log_in(&code).await),
            Act::Pay => drop(world.sandbox.pay(&code).await),
            Act::Close => drop(world.call(&Close { out_trade_no: no("a1") }).await),
            Act::Wait(seconds) => world.pass(secs(seconds)).await,
            Act::Spoil(executed) => world.arm(Fault::GatewayUnknown(Spoiled { method: None, executed }), 1),
            Act::LandLate => world.arm(Fault::PayAfterClose { after_ms: 50 }, 1),
            Act::Refund(number, fen) => {
                let refund = Refund {
                    out_trade_no: no("a1"),
                    refund_amount: Yuan::of_fen(fen),
                    out_request_no: no(&format!("r{number}")),
                    refund_reason: None,
                };
                if let Outcome::Done(answer) = world.call(&refund).await
                    && answer.moved_money()
                {
                    moved += fen;
                }
            }
        }
        let ledger = world.sandbox.ledger().await.unwrap();
        let sum = |kind| ledger.iter().filter(|e| e.kind == kind).map(|e| e.amount.minor).sum::<i64>();
        let (captured, refunded) = (sum(EntryKind::Capture), sum(EntryKind::Refund));
        assert!(captured == 0 || captured == 1_000, "charged {captured}");
        assert!(refunded <= captured, "refunded {refunded} of {captured}");
        assert!(moved <= refunded, "the client was told of more than was moved");
    }
}

#[test]
fn no_sequence_charges_twice_or_refunds_too_much() {
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(200) });
    runner
        .run(&acts(), |acts| {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
            runtime.unwrap().block_on(walk(acts));
            Ok(())
        })
        .unwrap();
}
