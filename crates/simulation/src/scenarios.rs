//! What happens in a world.

pub mod day;
pub mod deadline;
pub mod persistent;

use crate::world::{CUP, TEA, World};

/// One purchase, from the cart to the receipt.
pub async fn purchase(world: World) -> World {
    let buyer = world.buyer().await;
    let order = buyer.order(&[(TEA, 2), (CUP, 1)]).await;
    buyer.pay(&world, &order).await;
    world.ship(&order).await;
    buyer.receive(&order).await.expect(200);
    world
}
