//! The contexts ordering asks. A client cannot tell whether it holds a service of this process or one elsewhere.

use merx_contracts::{
    accounts::v1::accounts_client::AccountsClient, cart::v1::carts_client::CartsClient,
    catalogue::v1::catalogue_client::CatalogueClient, inventory::v1::inventory_client::InventoryClient,
    notification::v1::notification_client::NotificationClient, payment::v1::payments_client::PaymentsClient,
    shipping::v1::shipping_client::ShippingClient,
};
use merx_platform::rpc::Peer;

/// The ways to the contexts ordering asks.
#[derive(Clone, Debug)]
pub struct Asks {
    /// Addresses.
    pub accounts: Peer,
    /// What lies in a cart.
    pub cart: Peer,
    /// Prices and titles.
    pub catalogue: Peer,
    /// Stock.
    pub inventory: Peer,
    /// Money.
    pub payment: Peer,
    /// Freight and parcels.
    pub shipping: Peer,
    /// Mails; asked for timelines only, and a shop may be without.
    pub notification: Option<Peer>,
}

impl Asks {
    /// The same ways, each call naming ordering as its caller.
    #[must_use]
    pub fn named(self) -> Self {
        let name = |peer: Peer| peer.called_by(crate::store::CONTEXT);
        Self {
            accounts: name(self.accounts),
            cart: name(self.cart),
            catalogue: name(self.catalogue),
            inventory: name(self.inventory),
            payment: name(self.payment),
            shipping: name(self.shipping),
            notification: self.notification.map(name),
        }
    }

    pub(crate) fn accounts(&self) -> AccountsClient<Peer> {
        AccountsClient::new(self.accounts.clone())
    }
    pub(crate) fn carts(&self) -> CartsClient<Peer> {
        CartsClient::new(self.cart.clone())
    }
    pub(crate) fn catalogue(&self) -> CatalogueClient<Peer> {
        CatalogueClient::new(self.catalogue.clone())
    }
    pub(crate) fn inventory(&self) -> InventoryClient<Peer> {
        InventoryClient::new(self.inventory.clone())
    }
    pub(crate) fn payments(&self) -> PaymentsClient<Peer> {
        PaymentsClient::new(self.payment.clone())
    }
    pub(crate) fn shipping(&self) -> ShippingClient<Peer> {
        ShippingClient::new(self.shipping.clone())
    }
    pub(crate) fn notification(&self) -> Option<NotificationClient<Peer>> {
        self.notification.clone().map(NotificationClient::new)
    }
}
