//! Where a request comes from.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use axum::extract::FromRequestParts;
use http::{HeaderMap, request::Parts};

/// The address of the client, as far as we believe it: the peer, or what a proxy we trust says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    /// Where no connection is known (a request made inside the process).
    pub const UNKNOWN: Self = Self(IpAddr::V4(Ipv4Addr::UNSPECIFIED));

    /// Walks `X-Forwarded-For` from the right as long as the hop that wrote it is trusted. An IPv4 address is the
    /// same whether it comes as such or mapped into IPv6, as a listener on `[::]` sees it.
    pub(crate) fn of(peer: Option<IpAddr>, headers: &HeaderMap, trusted: &[IpAddr]) -> Self {
        let Some(mut address) = peer.map(|p| p.to_canonical()) else { return Self::UNKNOWN };
        let mut hops: Vec<&str> = headers
            .get_all("x-forwarded-for")
            .iter()
            .filter_map(|v| v.to_str().ok())
            .flat_map(|v| v.split(','))
            .map(str::trim)
            .collect();
        while is_trusted(trusted, address) {
            match hops.pop().and_then(|hop| hop.parse::<IpAddr>().ok()) {
                Some(earlier) => address = earlier.to_canonical(),
                None => break,
            }
        }
        Self(address)
    }

    /// The unit that limits count: an IPv4 address, or the /64 an IPv6 client is given whole.
    #[must_use]
    pub fn network(self) -> Self {
        match self.0.to_canonical() {
            IpAddr::V6(v6) => Self(IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)))),
            v4 => Self(v4),
        }
    }
}

/// Whether a canonical address is one of the proxies.
pub(crate) fn is_trusted(proxies: &[IpAddr], address: IpAddr) -> bool {
    proxies.iter().any(|proxy| proxy.to_canonical() == address)
}

impl<S: Send + Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(parts.extensions.get::<Self>().copied().unwrap_or(Self::UNKNOWN))
    }
}
