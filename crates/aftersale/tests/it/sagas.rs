//! Each saga in the generic harness: a failure at each step, everything twice, a crash after each record, and the same for
//! each refusal. The final state must be the same every time.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use libtest_mimic::Trial;
use merx_aftersale::{
    AfterSale, Policy, Settings, after_sale,
    domain::{Command, Kind, UnitLine},
    migrations,
    sagas::{refund_case::RefundCase, replace_case::ReplaceCase},
    store::{self, Act, Deed},
};
use merx_kernel::{Quantity, Result, Timestamp};
use merx_platform::{
    Deps, Module,
    objects::MemoryStore,
    saga::{
        AnySaga, End, EngineDeps, NewSaga, SagaEngine,
        fault::Fault,
        harness::{World, prove},
    },
};
use merx_sql::Tx;

use crate::{
    bench::{ORDER, STAFF, store as tables},
    neighbours::{Neighbours, World as Around},
    rules::{CASE, TEA, approve, ask, inspect, receive, sku},
};

/// The world of one case: brought to where the saga begins.
struct Scene {
    deps: Deps,
    own: AfterSale,
    neighbours: Neighbours,
    last: Command,
}

impl Scene {
    async fn new(before: &[Command], last: Command) -> Self {
        let (mut deps, _) = merx_testkit::seeded_deps(&["aftersale"], 7, None);
        Module::new(tables(), migrations()).migrate(&deps.db).await.unwrap();
        let neighbours = Neighbours::new();
        neighbours.wire(&mut deps);
        let settings = Settings { policy: Policy::default(), objects: Arc::new(MemoryStore::default()) };
        let own = after_sale(&deps, settings).unwrap();
        let scene = Self { deps, own, neighbours, last };
        for command in before {
            scene.change(command.clone()).await.unwrap();
        }
        scene
    }

    async fn change(&self, command: Command) -> Result<Option<NewSaga>> {
        let act = Act::now(&self.own.state, ORDER, CASE)?;
        let deed = Deed { actor: STAFF, action: "aftersale.tested", detail: serde_json::json!({}) };
        let write = move |tx: &mut Tx<'_>| {
            let changed = store::change(tx, &tables(), &act, &command)?;
            act.tell(tx, &tables(), &deed)?;
            Ok(changed.saga)
        };
        self.deps.db.write("test.change", write).await
    }

    /// What cannot be replaced is refunded by the next saga.
    async fn what_follows(&self) {
        let open = |q: &mut merx_sql::Reader<'_>| tables().sagas.open(q, None, 10);
        for row in self.deps.db.read("test.sagas", open).await.unwrap() {
            let _ended = self.own.engine.resume(row.id).await;
        }
    }

    /// The case's events, and the neighbours' state.
    async fn outcome(&self) -> (Vec<String>, Around) {
        let read = |q: &mut merx_sql::Reader<'_>| tables().events.load(q, ORDER);
        let events = self.deps.db.read("test.outcome", read).await.unwrap();
        let mut around = self.neighbours.world().clone();
        // A take-back that came before its reserve leaves a mark and nothing else.
        around.released.clear();
        (events.into_iter().map(|event| event.name).collect(), around)
    }
}

#[async_trait]
impl World for Scene {
    fn engine(&self, fault: Arc<dyn Fault>) -> SagaEngine {
        let state = self.own.state.clone();
        let kinds: Vec<Arc<dyn AnySaga>> =
            vec![Arc::new(RefundCase(state.clone())), Arc::new(ReplaceCase(state))];
        let deps = EngineDeps {
            db: self.deps.db.clone(),
            log: tables().sagas,
            clock: self.deps.clock.clone(),
            entropy: self.deps.entropy.clone(),
            tasks: self.deps.tasks.clone(),
            metrics: self.deps.metrics.clone(),
            activity: self.deps.activity.clone(),
        };
        SagaEngine::with(deps, kinds, Default::default(), Some(fault))
    }

    async fn start(&self) -> Result<NewSaga> {
        Ok(self.change(self.last.clone()).await?.unwrap())
    }

    async fn wait(&self, until: Timestamp) {
        self.deps.clock.sleep(until.since(self.deps.now())).await;
    }
}

/// Proves the saga, and that for each end there is one final state; answers the states by end.
async fn proved(before: Vec<Command>, last: Command, prepare: fn(&mut Around)) -> Vec<(String, String)> {
    let states: Mutex<Vec<(String, String)>> = Mutex::default();
    let make = async || {
        let scene = Scene::new(&before, last.clone()).await;
        prepare(&mut scene.neighbours.world());
        scene
    };
    let check = async |scene: &Scene, end: &End| {
        scene.what_follows().await;
        let state = format!("{:?}", scene.outcome().await);
        let end = format!("{end:?}");
        let known = states.lock().unwrap().iter().find(|(known, _)| *known == end).cloned();
        match known {
            Some((_, first)) => assert_eq!(state, first, "{end}"),
            None => states.lock().unwrap().push((end, state)),
        }
    };
    let proof = prove(make, check).await.unwrap();
    let (size, name) = (proof.cases.len(), Scene::new(&before, last).await.start().await.unwrap().name);
    assert!(size > 10, "{:?}", proof.cases);
    println!(
        "PROOF | T3 | saga {name}: failures, crashes, everything twice, refusals and effects that come late, at each point | \
         size={size} | one final state for each end in {size} of {size} cases (100 %) | seed=-"
    );
    states.into_inner().unwrap()
}

fn of<'a>(states: &'a [(String, String)], end: &str) -> &'a str {
    &states.iter().find(|(known, _)| known.contains(end)).unwrap_or_else(|| panic!("no {end}: {states:?}")).1
}

async fn refund_case_holds() {
    let states = proved(vec![ask(Kind::Refund, &[(TEA, 1)])], approve(), |_| {}).await;
    let done = of(&states, "Done");
    assert!(done.contains("RefundGranted") && done.matches("rfd_").count() == 1, "one refund: {done}");
    let refused = of(&states, "grant-refund");
    assert!(refused.contains("CaseCancelled") && !refused.contains("rfd_"), "{refused}");
}

async fn a_return_is_restocked_once() {
    let here = vec![ask(Kind::Return, &[(TEA, 2)]), approve(), receive(&[(TEA, 2)])];
    let states = proved(here, inspect(&[(TEA, 1, 1)]), |_| {}).await;
    let done = of(&states, "Done");
    assert!(done.contains("\"TEA-100\": 6") && done.matches("rfd_").count() == 1, "{done}");
}

async fn replace_case_holds() {
    let here = vec![ask(Kind::Exchange, &[(TEA, 2)]), approve(), receive(&[(TEA, 2)])];
    let states = proved(here, inspect(&[(TEA, 1, 1)]), |_| {}).await;
    let done = of(&states, "Done");
    assert!(done.contains("ReplacementOpened") && done.contains("\"TEA-100\": 4"), "two out, one in: {done}");
    let none = of(&states, "take-stock");
    assert!(none.contains("ReplacementUnavailable") && none.matches("rfd_").count() == 1, "{none}");
    let ended = of(&states, "grant-replacement");
    assert!(ended.contains("CaseCancelled") && ended.contains("\"TEA-100\": 5"), "nothing went out: {ended}");
}

async fn a_refund_the_provider_refuses_waits_for_a_person() {
    let scene = Scene::new(&[ask(Kind::Refund, &[(TEA, 1)])], approve()).await;
    scene.neighbours.world().refunds_fail = true;
    let saga = scene.start().await.unwrap();
    let _ended = scene.own.engine.run(&saga).await;
    let (events, around) = scene.outcome().await;
    assert_eq!(events.last().unwrap(), "RefundGranted", "the case waits");
    assert_eq!(around.refunds.len(), 1);
}

/// A cancellation asked payment for it while ordering's answer was lost: payment's fact came before the case knew of the
/// refund, and comes no more.
async fn a_refund_that_went_through_before_the_case_knew_ends_it() {
    let scene = Scene::new(&[ask(Kind::Refund, &[(TEA, 1)])], approve()).await;
    scene.neighbours.world().refunds_are_through = true;
    let saga = scene.start().await.unwrap();
    let _ended = scene.own.engine.run(&saga).await;
    let (events, _) = scene.outcome().await;
    assert_eq!(events.last().unwrap(), "RefundPaid");
}

/// The replacement came back: it is taken back whole under the case's own reservation, and what the buyer sent, which was
/// restocked before, is not taken back again.
async fn money_for_a_replacement_that_came_back() {
    let shipment_id = merx_kernel::Id::from_bits(5);
    let lines = vec![UnitLine { sku: sku(TEA), quantity: Quantity::new(2).unwrap() }];
    let here = vec![
        ask(Kind::Exchange, &[(TEA, 2)]),
        approve(),
        receive(&[(TEA, 2)]),
        inspect(&[(TEA, 2, 0)]),
        Command::OpenReplacement { shipments: vec![shipment_id] },
        Command::RecordDispatch { shipment_id, lines },
        Command::RecordReturn { shipment_id },
    ];
    let scene = Scene::new(&here, Command::RefundReplaced).await;
    let own = CASE.cast::<merx_contracts::ids::ReservationKind>().to_string();
    scene.neighbours.world().reservations.insert(own, ([(TEA.to_owned(), 2)].into(), true));
    let before = scene.neighbours.world().stock[TEA];
    let saga = scene.start().await.unwrap();
    let _ended = scene.own.engine.run(&saga).await;
    let (events, around) = scene.outcome().await;
    assert_eq!(events.last().unwrap(), "RefundGranted");
    assert_eq!((around.stock[TEA] - before, around.refunds.len()), (2, 1));
}

fn paused<F>(name: &str, case: impl Fn() -> F + Send + 'static) -> Trial
where
    F: Future<Output = ()> + 'static,
{
    Trial::test(format!("sagas::{name}"), move || {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
        runtime.block_on(case());
        Ok(())
    })
}

pub fn trials() -> Vec<Trial> {
    vec![
        paused("refund_case_holds", refund_case_holds),
        paused("a_return_is_restocked_once", a_return_is_restocked_once),
        paused("replace_case_holds", replace_case_holds),
        paused("money_for_a_replacement_that_came_back", money_for_a_replacement_that_came_back),
        paused(
            "a_refund_that_went_through_before_the_case_knew_ends_it",
            a_refund_that_went_through_before_the_case_knew_ends_it,
        ),
        paused(
            "a_refund_the_provider_refuses_waits_for_a_person",
            a_refund_the_provider_refuses_waits_for_a_person,
        ),
    ]
}
