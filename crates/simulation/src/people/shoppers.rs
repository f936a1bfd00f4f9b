//! Who comes in.

mod browser;
mod doubler;
mod enumerator;
mod forger;
mod guesser;
mod guest;
mod hoarder;
mod leaver;
mod racer;
mod regular;
mod returner;
mod roamer;
mod tamperer;
mod transferer;
mod twice_payer;
mod waverer;

use super::Town;
use crate::dice::Dice;

/// A kind of shopper.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Buys, and has the goods or not.
    Regular,
    /// Cancels while paying.
    Waverer,
    /// Pays by two ways, early or late.
    TwicePayer,
    /// Pays by a transfer or in cash.
    Transferer,
    /// Sends goods back, or wants money without.
    Returner,
    /// Clicks twice, goes back, comes again.
    Doubler,
    /// Looks, fills a cart and goes.
    Browser,
    /// Buys without an account, and may get one.
    Guest,
    /// A crowd that wants the last one at the same moment.
    Racer,
    /// Wants more than one may have.
    Hoarder,
    /// Is logged in everywhere.
    Roamer,
    /// Wants to be forgotten with an order under way.
    Leaver,
    /// Looks for what is others'.
    Enumerator,
    /// Says in bodies what only the shop can say.
    Tamperer,
    /// Tells of payments nobody made.
    Forger,
    /// Guesses passwords, codes and links.
    Guesser,
}

/// Most people are honest.
const KINDS: &[Kind] = &[
    Kind::Regular,
    Kind::Regular,
    Kind::Regular,
    Kind::Regular,
    Kind::Waverer,
    Kind::Waverer,
    Kind::TwicePayer,
    Kind::TwicePayer,
    Kind::Transferer,
    Kind::Transferer,
    Kind::Returner,
    Kind::Returner,
    Kind::Doubler,
    Kind::Doubler,
    Kind::Browser,
    Kind::Guest,
    Kind::Guest,
    Kind::Racer,
    Kind::Hoarder,
    Kind::Roamer,
    Kind::Leaver,
    Kind::Enumerator,
    Kind::Tamperer,
    Kind::Forger,
    Kind::Guesser,
];

impl Kind {
    /// Who comes, as the dice have it.
    pub fn draw(dice: &Dice) -> Self {
        *dice.pick(KINDS).unwrap()
    }

    /// Comes in the open hours, and does what such people do.
    pub async fn come<'a>(self, town: &'a Town<'a>, number: u64) {
        let name = format!("{self:?} {number}").to_lowercase();
        let arrival = town.dice(&format!("{name} arrives")).span(town.mixture.open.as_millis() as u64);
        town.tally.count(format!("came: {self:?}"), 1);
        town.pass(arrival).await;
        let gone = match self {
            Self::Regular => regular::visit(town, &name).await,
            Self::Waverer => waverer::visit(town, &name).await,
            Self::TwicePayer => twice_payer::visit(town, &name).await,
            Self::Transferer => transferer::visit(town, &name).await,
            Self::Returner => returner::visit(town, &name).await,
            Self::Doubler => doubler::visit(town, &name).await,
            Self::Browser => browser::visit(town, &name).await,
            Self::Guest => guest::visit(town, &name).await,
            Self::Racer => racer::visit(town, &name).await,
            Self::Hoarder => hoarder::visit(town, &name).await,
            Self::Roamer => roamer::visit(town, &name).await,
            Self::Leaver => leaver::visit(town, &name).await,
            Self::Enumerator => enumerator::visit(town, &name).await,
            Self::Tamperer => tamperer::visit(town, &name).await,
            Self::Forger => forger::visit(town, &name).await,
            Self::Guesser => guesser::visit(town, &name).await,
        };
        if gone.is_none() {
            town.tally.count(format!("left early: {self:?}"), 1);
        }
    }
}
