//! Which addresses are of the public internet. Everything else may be a machine of ours.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// First address, length of the prefix, what it is (IANA special-purpose registries, RFC 6890 and its followers).
const IPV4_REFUSED: &[(Ipv4Addr, u32, &str)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8, "of this host or network"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, "private"),
    (Ipv4Addr::new(100, 64, 0, 0), 10, "shared by a carrier's NAT"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "loopback"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "link-local"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, "private"),
    (Ipv4Addr::new(192, 0, 0, 0), 24, "of protocols"),
    (Ipv4Addr::new(192, 0, 2, 0), 24, "for documentation"),
    (Ipv4Addr::new(192, 88, 99, 0), 24, "of a 6to4 relay"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, "private"),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "for benchmarks"),
    (Ipv4Addr::new(198, 51, 100, 0), 24, "for documentation"),
    (Ipv4Addr::new(203, 0, 113, 0), 24, "for documentation"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "multicast"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "reserved"),
];

/// Within 2000::/3; everything outside it is refused as a whole: loopback, link-local, unique local, multicast, and
/// every form that carries an IPv4 address (mapped, compatible, NAT64).
const IPV6_REFUSED: &[(Ipv6Addr, u32, &str)] = &[
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, "of protocols or tunnels"),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, "for documentation"),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, "of a 6to4 tunnel"),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, "for documentation"),
];

/// Why an address is not one of the public internet; `None` when it is.
pub fn not_public(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(v4) => {
            let within = |first: Ipv4Addr, bits: u32| {
                (v4.to_bits() ^ first.to_bits()).checked_shr(32 - bits).unwrap_or(0) == 0
            };
            IPV4_REFUSED.iter().find(|(first, bits, _)| within(*first, *bits)).map(|(.., what)| *what)
        }
        IpAddr::V6(v6) => {
            if v6.to_bits() >> 125 != 1 {
                return Some("not of the public internet");
            }
            let within = |first: Ipv6Addr, bits: u32| (v6.to_bits() ^ first.to_bits()) >> (128 - bits) == 0;
            IPV6_REFUSED.iter().find(|(first, bits, _)| within(*first, *bits)).map(|(.., what)| *what)
        }
    }
}
