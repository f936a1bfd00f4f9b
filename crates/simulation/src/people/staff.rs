//! Who is at work.

mod boss;
mod integrator;
mod keeper;
mod operator;
mod packer;
mod pricer;
mod support;

use std::time::Duration;

use merx_kernel::Role;
use serde_json::json;

use super::{Ask, Town, client::Client};
use crate::dice::Dice;

/// What somebody of the staff is there for.
#[derive(Clone, Copy, Debug)]
pub enum Duty {
    /// Packs, parts and sends.
    Packer,
    /// Counts, moves and brings in.
    Keeper,
    /// Prices, takes off sale and puts back.
    Pricer,
    /// Helps buyers, and decides about money that does not fit.
    Support,
    /// Invites, closes, makes keys.
    Boss,
    /// Tells partners.
    Integrator,
    /// Rebuilds, redrives, looks after what is stuck.
    Operator,
}

const DUTIES: &[Duty] =
    &[Duty::Packer, Duty::Keeper, Duty::Pricer, Duty::Support, Duty::Boss, Duty::Integrator, Duty::Operator];

impl Duty {
    /// Who is there: somebody always packs.
    pub fn draw(dice: &Dice, number: u64) -> Self {
        if number == 0 { Self::Packer } else { *dice.pick(DUTIES).unwrap() }
    }

    /// At work until the evening is over, an act every few minutes.
    pub async fn work<'a>(self, town: &'a Town<'a>, number: u64) {
        let name = format!("{self:?} {number}").to_lowercase();
        town.tally.count(format!("at work: {self:?}"), 1);
        let role = match self {
            Self::Packer | Self::Keeper => Role::Warehouse,
            Self::Pricer => Role::ProductManager,
            Self::Support => Role::Operator,
            Self::Boss | Self::Integrator | Self::Operator => Role::Administrator,
        };
        let client = town.staff(role, &name).await;
        while town.now() < town.evening() {
            town.pass(Duration::from_secs(1) + client.dice.span(240_000)).await;
            // Who gave up on one thing goes on with another.
            let _ = match self {
                Self::Packer => packer::act(&client).await,
                Self::Keeper => keeper::act(&client).await,
                Self::Pricer => pricer::act(&client).await,
                Self::Support => support::act(&client).await,
                Self::Boss => boss::act(&client).await,
                Self::Integrator => integrator::act(&client).await,
                Self::Operator => operator::act(&client).await,
            };
        }
    }
}

/// Puts a second warehouse beside the first, and some goods into it.
pub async fn furnish<'a>(town: &'a Town<'a>) -> Option<()> {
    let keeper = town.staff(Role::Warehouse, "the first keeper").await;
    let main = keeper.get("/v1/warehouses").await?.text_at("/items/0/id");
    let second =
        keeper.post("/v1/warehouses", json!({"code": "NB-1", "name": "Ningbo", "priority": 100})).await?;
    let second = second.text_at("/id");
    town.warehouses.replace(vec![main, second]);
    keeper::bring_in(&keeper, crate::world::TEA, 1, 4).await?;
    keeper::bring_in(&keeper, crate::world::CUP, 1, 3).await?;
    keeper::bring_in(&keeper, crate::world::TEA, 0, town.mixture.restocked).await
}

/// Settles what waits for a person when the day is over.
pub async fn tidy_up<'a>(town: &'a Town<'a>) -> Option<()> {
    let support = town.staff(Role::Operator, "the last of the support").await;
    support::settle_all(&support).await?;
    // What is to be paid back by hand shows once the refunds have been tried.
    for _ in 0..3 {
        town.world.settle().await;
        town.pass(Duration::from_secs(20)).await;
        support::pay_back_all(&support).await?;
    }
    Some(())
}

/// Replaces something for the version that is seen now.
async fn replace(client: &Client<'_>, seen_at: &str, ask: Ask) -> Option<merx_testkit::Answer> {
    let seen = client.get(seen_at).await?;
    client.ask(ask.seen(&seen).also(&["request.version_stale"])).await
}
