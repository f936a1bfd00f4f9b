//! What the staff of a shop do, through the public API.

use merx_kernel::Role;
use merx_testkit::Answer;
use serde_json::{Value, json};

use super::{Order, World};

impl World {
    /// Changes a price, from now on.
    pub async fn reprice(&self, sku: &str, price_minor: i64) {
        let staff = self.staff(Role::ProductManager).await;
        let price = json!({"price": {"minor": price_minor, "currency": "CNY"}, "reason": "a better harvest"});
        staff.post(&format!("/v1/admin/skus/{sku}/prices"), price).await.expect(201);
    }

    /// The id of the warehouse there is from the beginning.
    pub async fn main_warehouse(&self) -> String {
        let all = self.staff(Role::Warehouse).await.get("/v1/warehouses").await.expect(200);
        all.text_at("/items/0/id")
    }
    /// Opens one more warehouse, behind the others; answers its id.
    pub async fn open_warehouse(&self, code: &str) -> String {
        let body = json!({"code": code, "name": code, "priority": 100});
        self.staff(Role::Warehouse).await.post("/v1/warehouses", body).await.expect(201).text_at("/id")
    }
    /// Units come into a warehouse.
    pub async fn receive(&self, sku: &str, warehouse_id: &str, units: i64) {
        let body = json!({"quantity": units, "warehouse_id": warehouse_id, "reason": "a delivery"});
        let staff = self.staff(Role::Warehouse).await;
        staff.post(&format!("/v1/inventory/{sku}/receipts"), body).await.expect(201);
    }
    /// Sets the figure of a SKU right; it may be refused.
    pub async fn adjust(&self, sku: &str, delta: i64) -> Answer {
        let staff = self.staff(Role::Warehouse).await;
        staff
            .post(&format!("/v1/inventory/{sku}/adjustments"), json!({"delta": delta, "reason": "counted"}))
            .await
    }
    /// Sends units from one warehouse to another; it may be refused.
    pub async fn transfer(&self, sku: &str, from: &str, to: &str, units: i64) -> Answer {
        let body = json!({
            "from_warehouse_id": from, "to_warehouse_id": to,
            "lines": [{"sku": sku, "quantity": units}], "reason": "nearer to the buyers"
        });
        self.staff(Role::Warehouse).await.post("/v1/transfers", body).await
    }
    /// What was sent has arrived, all of it.
    pub async fn arrive(&self, transfer: &str) -> Answer {
        let staff = self.staff(Role::Warehouse).await;
        staff.post(&format!("/v1/transfers/{transfer}/receipt"), json!({})).await
    }

    /// The shipments of an order, as the warehouse sees them, oldest first.
    pub async fn shipments(&self, order: &Order) -> Vec<Value> {
        let staff = self.staff(Role::Warehouse).await;
        let found = staff.get(&format!("/v1/shipments?order_id={}", order.id)).await.expect(200);
        found.body["items"].as_array().unwrap().clone()
    }
    /// Every shipment there is, a hundred at most.
    pub async fn every_shipment(&self) -> Vec<Value> {
        let staff = self.staff(Role::Warehouse).await;
        let found = staff.get("/v1/shipments?limit=100").await.expect(200);
        found.body["items"].as_array().unwrap().clone()
    }
    /// Hands a shipment to the carrier; it may be refused.
    pub async fn dispatch(&self, shipment: &str) -> Answer {
        let body = json!({"carrier": "SF Express", "tracking_number": "SF123"});
        self.staff(Role::Warehouse).await.post(&format!("/v1/shipments/{shipment}/dispatch"), body).await
    }
    /// Parts a shipment; it may be refused.
    pub async fn split(&self, shipment: &str, sku: &str, units: i64) -> Answer {
        let body = json!({"lines": [{"sku": sku, "quantity": units}]});
        self.staff(Role::Warehouse).await.post(&format!("/v1/shipments/{shipment}/split"), body).await
    }
    /// What the carrier tells of a shipment; it may be refused.
    pub async fn track(&self, shipment: &str, code: &str) -> Answer {
        let body = json!({"code": code, "at": self.shop.deps.now(), "place": "杭州", "text": "on its way"});
        self.staff(Role::Warehouse)
            .await
            .post(&format!("/v1/shipments/{shipment}/tracking-events"), body)
            .await
    }
    /// The carrier handed a shipment over.
    pub async fn deliver(&self, shipment: &str) {
        let staff = self.staff(Role::Warehouse).await;
        staff.post(&format!("/v1/shipments/{shipment}/delivery"), json!({})).await.expect(200);
        self.settle().await;
    }
    /// The warehouse packs all of the order and hands it to the carrier.
    pub async fn ship(&self, order: &Order) {
        let open: Vec<Value> =
            self.shipments(order).await.into_iter().filter(|shipment| shipment["status"] == "open").collect();
        assert!(!open.is_empty(), "nothing of {} is to be sent", order.id);
        for shipment in open {
            self.dispatch(shipment["id"].as_str().unwrap()).await.expect(200);
        }
        self.settle().await;
    }
}
