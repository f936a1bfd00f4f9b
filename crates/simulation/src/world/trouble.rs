//! Time in which things go wrong, and what comes after it.

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::join;
use merx_alipay_sandbox::{Fault, Field, Spoiled};
use merx_kernel::{Result, Timestamp};
use merx_platform::{
    bus::TRIES_MAX,
    store::{DeliveryRow, DeliveryState},
};
use merx_server::shop::{Running, Shop};

use super::{Told as _, World};
use crate::faults::{PROVIDER, Plan, Restart};

/// How often a switch of Alipay may be armed.
const ARMED_EVERY: Duration = Duration::from_secs(45);
/// How long an orderly stop waits for whoever is inside, and for the tasks.
const STOP_MAX: Duration = Duration::from_secs(60);
/// How long a process that could not start is down.
const START_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// After the trouble: as long as the longest wait of anything that tries again by itself, so often.
const RECOVERY_STEP: Duration = Duration::from_secs(720);
const RECOVERY_STEPS: usize = 5;

/// Something that happens at a moment.
enum Event {
    Arm,
    Restart(Restart),
    ClockOffBy(i64),
}

impl World {
    /// Lives `life` while things go wrong as the plan has it, for `span` at most; then nothing goes wrong any more, and
    /// everything that was begun comes to its end. People may go on longer than the trouble.
    pub async fn troubled<F: Future>(&self, span: Duration, life: F) -> F::Output {
        self.faults.wake(true);
        let (lived, ()) = join(life, self.go_wrong(span)).await;
        self.recover().await;
        lived
    }

    /// What the plan has for the time from now on.
    fn events(&self, span: Duration) -> BTreeMap<(Timestamp, usize), Event> {
        let (plan, begin) = (self.faults.plan(), self.time());
        let mut events = BTreeMap::new();
        let mut add = |after: Duration, event| {
            let number = events.len();
            events.insert((begin.plus(after), number), event);
        };
        let times = span.as_millis() / ARMED_EVERY.as_millis();
        for time in 0..u32::try_from(times).unwrap_or(0) {
            add(ARMED_EVERY * time, Event::Arm);
        }
        for restart in &plan.restarts {
            add(Plan::moment(restart.at, span), Event::Restart(restart.clone()));
        }
        for jump in &plan.jumps {
            add(Plan::moment(jump.at, span), Event::ClockOffBy(jump.by_ms));
            add(Plan::moment(jump.until, span), Event::ClockOffBy(0));
        }
        events
    }

    async fn go_wrong(&self, span: Duration) {
        let end = self.time().plus(span);
        for ((at, _), event) in self.events(span) {
            self.pass(at.since(self.time())).await;
            match event {
                Event::Arm => self.arm_by_plan(),
                Event::ClockOffBy(millis) => self.set_clock_off_by(millis),
                Event::Restart(restart) if restart.is_crash => {
                    self.crash(Duration::from_millis(restart.down_ms)).await;
                }
                Event::Restart(restart) => {
                    self.restart_in_order(Duration::from_millis(restart.down_ms)).await;
                }
            }
        }
        self.pass(end.since(self.time())).await;
        self.calm();
    }

    /// Nothing goes wrong any more.
    fn calm(&self) {
        self.faults.wake(false);
        self.disarm();
        self.set_clock_off_by(0);
    }

    /// Takes the switches of Alipay back: what was not used up did not go wrong.
    pub(super) fn disarm(&self) {
        for armed in self.sandbox.armed() {
            if let Some(point) = provider_point(armed.fault.name()) {
                self.faults.take_back(point, u64::from(armed.times));
            }
        }
        self.sandbox.disarm();
    }

    /// The shop's clock is wrong by so much from now on.
    pub fn set_clock_off_by(&self, millis: i64) {
        self.shop_clock.set_off_by(millis);
        self.trace.see(format!("{}: the clock is off by {millis} ms", self.time()));
        if millis != 0 {
            self.faults.note("world.clock_jump", 1);
        }
    }

    fn arm_by_plan(&self) {
        let active = &self.faults.plan().active;
        for point in PROVIDER {
            if active.contains(point) && self.faults.draw(point, 4) == 0 {
                let times = 1 + u32::try_from(self.faults.draw(point, 3)).unwrap_or(0);
                let fault = self.provider_fault(point);
                self.trace.see(format!("{}: {fault:?} for {times}", self.time()));
                self.arm(fault, times);
            }
        }
    }

    fn provider_fault(&self, point: &'static str) -> Fault {
        let draw = |end| self.faults.draw(point, end);
        let spoiled = || Spoiled { method: None, executed: draw(2) == 0 };
        match point {
            "provider.lose_notification" => Fault::LoseNotification,
            "provider.duplicate_notification" => {
                Fault::DuplicateNotification { copies: 1 + u32::try_from(draw(4)).unwrap_or(0) }
            }
            "provider.delay_notification" => Fault::DelayNotification { delay_ms: draw(600_000) },
            "provider.reorder_notification" => Fault::ReorderNotification,
            "provider.wrong_notification" => {
                let fields = [
                    Field::TotalAmount,
                    Field::AppId,
                    Field::SellerId,
                    Field::OutTradeNo,
                    Field::TradeStatus,
                    Field::TransCurrency,
                ];
                let field = fields[usize::try_from(draw(6)).unwrap_or(0)];
                Fault::WrongNotification { field, value: None }
            }
            "provider.gateway_timeout" => Fault::GatewayTimeout(spoiled()),
            "provider.gateway_unknown" => Fault::GatewayUnknown(spoiled()),
            "provider.gateway_in_progress" => Fault::GatewayInProgress(spoiled()),
            "provider.half_answer" => Fault::HalfAnswer(spoiled()),
            "provider.wrong_signature" => Fault::WrongSignature(spoiled()),
            "provider.pay_after_close" => Fault::PayAfterClose { after_ms: draw(60_000) },
            _ => Fault::PayAfterExpiry,
        }
    }

    /// The process dies at this moment: what was not committed is lost, whoever waits for an answer gets none. After
    /// `down` a new one stands on what the old one has kept.
    pub async fn crash(&self, down: Duration) {
        self.trace.see(format!("{}: the process dies", self.time()));
        self.faults.note("world.crash", 1);
        self.up.set(false);
        self.door.slam();
        self.shop.deps.tasks.cut_off().await;
        self.pass(down).await;
        self.start_again().await;
    }

    /// The process stops in order and another one takes its place.
    pub async fn restart_in_order(&self, down: Duration) {
        self.trace.see(format!("{}: the process stops", self.time()));
        self.faults.note("world.orderly_restart", 1);
        let inside = self.door.close();
        let until = self.time().plus(STOP_MAX);
        while self.door.under_way() > 0 && self.time() < until {
            self.pass(Duration::from_millis(100)).await;
        }
        self.up.set(false);
        if let Some(inside) = inside {
            inside.cancel();
        }
        let stopped = self.shop.deps.tasks.shutdown(STOP_MAX).await;
        self.trace.see(format!("{}: it has stopped: {:?}", self.time(), stopped.err().map(|e| e.chain())));
        self.shop.deps.tasks.cut_off().await;
        self.pass(down).await;
        self.start_again().await;
    }

    /// Starts a process as often as it takes: whoever watches it does so too.
    async fn start_again(&self) {
        let (shop, running) = loop {
            let deps = self.fresh_deps();
            let tasks = deps.tasks.clone();
            match start(deps, self).await {
                Ok(started) => break started,
                Err(error) => {
                    self.trace.see(format!("{}: it does not start: {}", self.time(), error.chain()));
                    tasks.cut_off().await;
                    self.pass(START_AGAIN_AFTER).await;
                }
            }
        };
        self.door.open(running.router.clone());
        self.shop.push(shop);
        self.running.push(running);
        self.up.set(true);
        self.trace.see(format!("{}: the process has started", self.time()));
    }

    /// As [`World::settle`] at this moment.
    pub(super) async fn settled(&self) {
        loop {
            self.up.becomes(true).await;
            tokio::select! {
                biased;
                () = self.up.becomes(false) => {}
                settled = self.running.background.settled() => {
                    let _ = settled.told();
                    return;
                }
            }
        }
    }

    /// Waits until whatever failed was tried again, and drives dead letters again as an operator does. Those are
    /// explained by the faults when they were tried as often as the bus tries, every time with an error that is worth
    /// trying again; any other is a defect.
    pub async fn recover(&self) {
        for step in 0..RECOVERY_STEPS {
            self.pass(RECOVERY_STEP).await;
            self.settle().await;
            let dead = self.dead_letters().await;
            assert!(step + 1 < RECOVERY_STEPS || dead.is_empty(), "dead letters die again: {dead:#?}");
            for letter in dead {
                let explained = letter.tries >= TRIES_MAX && step == 0;
                assert!(explained, "no fault explains this dead letter: {letter:#?}");
                self.trace.see(format!("a dead letter of {} is driven again", letter.subscription));
                self.faults.note("bus.dead_letter_redriven", 1);
                let bus = &self.running.background.bus;
                assert!(bus.redrive(&letter.subscription, letter.message).await.told());
            }
        }
    }

    async fn dead_letters(&self) -> Vec<DeliveryRow> {
        let stores: Vec<_> = self.shop.modules.iter().map(|module| module.store.deliveries).collect();
        let read = move |q: &mut merx_sql::Reader<'_>| -> Result<Vec<DeliveryRow>> {
            let lists = stores.iter().map(|store| store.list(q, DeliveryState::Dead, 1_000));
            Ok(lists.collect::<Result<Vec<_>>>()?.concat())
        };
        self.shop.deps.db.read("test.dead", read).await.told()
    }
}

async fn start(deps: merx_platform::Deps, world: &World) -> Result<(Shop, Running)> {
    let shop = Shop::wire(deps, world.settings.clone())?;
    shop.migrate().await?;
    let running = shop.start().await?;
    Ok((shop, running))
}

pub(super) fn provider_point(fault: &str) -> Option<&'static str> {
    PROVIDER.iter().copied().find(|point| point.strip_prefix("provider.") == Some(fault))
}
