//! What chance decides in a run.

use std::time::Duration;

use merx_alipay_sandbox::{Fault, Spoiled};
use merx_kernel::Entropy;
use merx_platform::time::SeededEntropy;

use crate::world::World;

/// Randomness of one person: what it draws does not depend on who else is in the shop.
pub struct Dice(SeededEntropy);

impl Dice {
    /// Dice of somebody new in the world.
    pub fn of(world: &World) -> Self {
        Self(SeededEntropy::new(u64::from_le_bytes(world.shop.deps.ids.random_bytes())))
    }
    /// Dice of the person of this name in the run of `seed`, whoever else is there.
    pub fn named(seed: u64, name: &str) -> Self {
        let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        Self(SeededEntropy::new(name.as_bytes().iter().fold(seed ^ 0xcbf2_9ce4_8422_2325, mix)))
    }
    /// A number below `end`.
    pub fn below(&self, end: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes) % end
    }
    /// Whether the rare case of `count` happens.
    pub fn one_in(&self, count: u64) -> bool {
        self.below(count) == 0
    }
    /// One to `most`.
    pub fn units(&self, most: u64) -> i64 {
        1 + i64::try_from(self.below(most)).unwrap()
    }
    /// So many milliseconds at most.
    pub fn span(&self, most_ms: u64) -> Duration {
        Duration::from_millis(self.below(most_ms))
    }
    /// One of them, if there is any.
    pub fn pick<'a, T>(&self, among: &'a [T]) -> Option<&'a T> {
        let count = u64::try_from(among.len()).unwrap();
        if count == 0 { None } else { among.get(usize::try_from(self.below(count)).unwrap()) }
    }

    /// Something that goes wrong at Alipay.
    pub fn trouble(&self, world: &World) {
        let call = Spoiled { method: None, executed: self.one_in(2) };
        let fault = match self.below(9) {
            0 => Fault::LoseNotification,
            1 => Fault::DuplicateNotification { copies: 3 },
            2 => Fault::DelayNotification { delay_ms: self.below(600_000) },
            3 => Fault::ReorderNotification,
            4 => Fault::GatewayTimeout(call),
            5 => Fault::GatewayUnknown(call),
            6 => Fault::HalfAnswer(call),
            7 => Fault::WrongSignature(call),
            _ => Fault::PayAfterClose { after_ms: self.below(60_000) },
        };
        world.arm(fault, 1 + u32::try_from(self.below(3)).unwrap());
    }
}
