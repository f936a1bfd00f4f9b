//! What the doubles of ordering's neighbours do: effects under identities, in any order.

use merx_contracts::{
    common::v1 as wire,
    inventory::v1 as inventory,
    payment::v1::{self as payment, close_reply::Outcome},
    shipping::v1 as shipping,
};
use merx_kernel::{Error, Result};

use crate::neighbours::{Hold, Lines, Opened, Paying, Reservation, World};

impl World {
    /// What is available, held and sold of a SKU must always be what was there at first.
    pub fn units(&self, sku: &str) -> i64 {
        let of = |lines: &[(String, i64)]| lines.iter().filter(|l| l.0 == sku).map(|l| l.1).sum::<i64>();
        let taken: i64 = self
            .reservations
            .values()
            .map(|r| match r {
                Reservation::Held(lines) | Reservation::Sold(lines) => of(lines),
                Reservation::Released | Reservation::Returned(_) => 0,
            })
            .sum();
        self.stock.get(sku).copied().unwrap_or(0) + taken
    }

    pub fn reserve(&mut self, request: inventory::ReserveRequest) -> Result<inventory::ReserveReply> {
        match self.reservations.get(&request.reservation_id) {
            Some(Reservation::Released) => {
                return Err(Error::rejected("inventory.reservation_released", "It was released before."));
            }
            Some(_) => return Ok(inventory::ReserveReply {}),
            None => {}
        }
        let lines: Vec<(String, i64)> = request.lines.into_iter().map(|l| (l.sku, l.quantity)).collect();
        if lines.iter().any(|(sku, wanted)| self.stock.get(sku).copied().unwrap_or(0) < *wanted) {
            return Err(Error::rejected("inventory.sold_out", "Not enough of it is left."));
        }
        for (sku, wanted) in &lines {
            *self.stock.get_mut(sku).unwrap() -= wanted;
        }
        self.reservations.insert(request.reservation_id, Reservation::Held(lines));
        Ok(inventory::ReserveReply {})
    }

    pub fn release(&mut self, id: String) -> Result<inventory::ReleaseReply> {
        match self.reservations.insert(id.clone(), Reservation::Released) {
            Some(Reservation::Held(lines)) => {
                for (sku, count) in lines {
                    *self.stock.get_mut(&sku).unwrap() += count;
                }
            }
            Some(sold @ (Reservation::Sold(_) | Reservation::Returned(_))) => {
                self.reservations.insert(id, sold);
                return Err(Error::rejected("inventory.reservation_sold", "It was sold."));
            }
            _ => {}
        }
        Ok(inventory::ReleaseReply {})
    }

    pub fn sell(&mut self, id: String) -> Result<inventory::SellReply> {
        match self.reservations.get(&id).cloned() {
            Some(Reservation::Held(lines)) => {
                self.reservations.insert(id, Reservation::Sold(lines));
                Ok(self.sold())
            }
            Some(Reservation::Sold(_) | Reservation::Returned(_)) => Ok(self.sold()),
            Some(Reservation::Released) => {
                Err(Error::rejected("inventory.reservation_released", "It was released."))
            }
            None => Err(Error::rejected("inventory.reservation_unknown", "There is none.")),
        }
    }

    fn sold(&self) -> inventory::SellReply {
        let allocation = |(warehouse, lines): &(String, Lines)| inventory::Allocation {
            warehouse_id: warehouse.clone(),
            lines: lines
                .iter()
                .map(|(sku, quantity)| wire::SkuQuantity { sku: sku.clone(), quantity: *quantity })
                .collect(),
        };
        inventory::SellReply { allocations: self.allocations.iter().map(allocation).collect() }
    }

    pub fn take_back(&mut self, request: inventory::TakeBackRequest) -> Result<inventory::TakeBackReply> {
        match self.reservations.get(&request.reservation_id).cloned() {
            Some(Reservation::Sold(lines)) => {
                for (sku, count) in &lines {
                    *self.stock.get_mut(sku).unwrap() += count;
                }
                self.reservations.insert(request.reservation_id, Reservation::Returned(lines));
                Ok(inventory::TakeBackReply {})
            }
            Some(Reservation::Returned(_)) => Ok(inventory::TakeBackReply {}),
            _ => Err(Error::rejected("inventory.returned_too_much", "It was not sold.")),
        }
    }

    fn is_cancelled(&self, order: &str) -> bool {
        self.holds.iter().any(|((held, _), state)| held == order && *state == Hold::Cancelled)
    }

    pub fn open_shipment(&mut self, request: shipping::OpenRequest) -> Result<shipping::OpenReply> {
        if self.shipments.contains_key(&request.shipment_id) {
            return Ok(shipping::OpenReply {});
        }
        if self.is_cancelled(&request.order_id) {
            return Err(Error::rejected("shipping.order_cancelled", "The order was cancelled."));
        }
        if self.holds.iter().any(|((order, _), hold)| *order == request.order_id && *hold == Hold::Held) {
            return Err(Error::conflict("shipping.order_held", "The order is being cancelled."));
        }
        let lines = request.lines.into_iter().map(|line| (line.sku, line.quantity)).collect();
        let opened =
            Opened { order: request.order_id, warehouse: request.warehouse_id, lines, cancelled: false };
        self.shipments.insert(request.shipment_id, opened);
        Ok(shipping::OpenReply {})
    }

    pub fn hold(&mut self, request: shipping::HoldRequest) -> Result<shipping::HoldReply> {
        let left = self.dispatched.contains(&request.order_id);
        match self.holds.get(&(request.order_id.clone(), request.hold_id.clone())) {
            Some(Hold::Held | Hold::Cancelled) => {}
            Some(Hold::Lifted) => return Err(Error::rejected("shipping.hold_lifted", "It was lifted.")),
            None if left => return Err(Error::rejected("shipping.already_dispatched", "It has left.")),
            None => {
                self.holds.insert((request.order_id, request.hold_id), Hold::Held);
            }
        }
        Ok(shipping::HoldReply {})
    }

    pub fn lift_hold(&mut self, request: shipping::LiftHoldRequest) -> Result<shipping::LiftHoldReply> {
        match self.holds.insert((request.order_id.clone(), request.hold_id.clone()), Hold::Lifted) {
            Some(Hold::Cancelled) => {
                self.holds.insert((request.order_id, request.hold_id), Hold::Cancelled);
                Err(Error::rejected("shipping.order_cancelled", "The order was cancelled."))
            }
            _ => Ok(shipping::LiftHoldReply {}),
        }
    }

    pub fn cancel(&mut self, request: shipping::CancelRequest) -> Result<shipping::CancelReply> {
        match self.holds.get_mut(&(request.order_id.clone(), request.hold_id)) {
            Some(hold @ (Hold::Held | Hold::Cancelled)) => *hold = Hold::Cancelled,
            _ => return Err(Error::rejected("shipping.not_held", "There is no such hold.")),
        }
        for shipment in self.shipments.values_mut().filter(|s| s.order == request.order_id) {
            shipment.cancelled = true;
        }
        Ok(shipping::CancelReply {})
    }

    /// What the warehouse does: `false` when it may not.
    pub fn dispatch(&mut self, order: &str) -> bool {
        let held = self.holds.iter().any(|((of, _), hold)| of == order && *hold != Hold::Lifted);
        if !held {
            self.dispatched.insert(order.to_owned());
        }
        !held
    }

    pub fn close(&mut self, id: String) -> Result<payment::CloseReply> {
        if self.payments.get(&id) == Some(&Paying::Captured) {
            return Ok(payment::CloseReply { outcome: Outcome::Captured.into(), retry_at: 0 });
        }
        if let Some(retry_at) = self.close_pending_until.pop_front() {
            return Ok(payment::CloseReply { outcome: Outcome::Pending.into(), retry_at });
        }
        self.payments.insert(id, Paying::Closed);
        Ok(payment::CloseReply { outcome: Outcome::Closed.into(), retry_at: 0 })
    }
}
