//! Where a parcel goes, in the zones carriers price by.

use serde::{Deserialize, Serialize};

/// A zone of the tariff, as seen from a warehouse in the Yangtze delta.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Zone {
    /// Shanghai, Jiangsu, Zhejiang, Anhui.
    Near,
    /// The rest of the mainland.
    National,
    /// The far west and north: Xinjiang, Tibet, Qinghai, Gansu, Ningxia, Inner Mongolia.
    Remote,
    /// Hong Kong, Macau, Taiwan.
    Offshore,
}

impl Zone {
    /// Its name in Chinese.
    pub const fn zh(self) -> &'static str {
        match self {
            Self::Near => "江浙沪皖",
            Self::National => "全国",
            Self::Remote => "偏远地区",
            Self::Offshore => "港澳台",
        }
    }
    /// Its name in English.
    pub const fn en(self) -> &'static str {
        match self {
            Self::Near => "Yangtze delta",
            Self::National => "mainland China",
            Self::Remote => "remote regions",
            Self::Offshore => "Hong Kong, Macau and Taiwan",
        }
    }
}

/// First-level divisions outside the national zone: ISO 3166-2, Chinese, English. A region is known by any of
/// them, whatever follows the name (`上海市`, `Xinjiang Uygur Autonomous Region`).
const DIVISIONS: &[(Zone, &str, &str, &str)] = &[
    (Zone::Near, "cn-sh", "上海", "shanghai"),
    (Zone::Near, "cn-js", "江苏", "jiangsu"),
    (Zone::Near, "cn-zj", "浙江", "zhejiang"),
    (Zone::Near, "cn-ah", "安徽", "anhui"),
    (Zone::Remote, "cn-xj", "新疆", "xinjiang"),
    (Zone::Remote, "cn-xz", "西藏", "tibet"),
    (Zone::Remote, "cn-xz", "西藏", "xizang"),
    (Zone::Remote, "cn-qh", "青海", "qinghai"),
    (Zone::Remote, "cn-gs", "甘肃", "gansu"),
    (Zone::Remote, "cn-nx", "宁夏", "ningxia"),
    (Zone::Remote, "cn-nm", "内蒙古", "inner mongolia"),
    (Zone::Offshore, "cn-hk", "香港", "hong kong"),
    (Zone::Offshore, "cn-mo", "澳门", "macau"),
    (Zone::Offshore, "cn-mo", "澳门", "macao"),
    (Zone::Offshore, "cn-tw", "台湾", "taiwan"),
];

impl Zone {
    /// The zone of a destination; `None` when no parcel goes there. A mainland region that is not in the table
    /// is national: a new spelling must not stop a sale.
    ///
    /// `country` is ISO 3166-1 alpha-2; `region` the first-level division by ISO 3166-2 code or by name.
    pub fn of(country: &str, region: &str) -> Option<Self> {
        match country.trim().to_ascii_uppercase().as_str() {
            "HK" | "MO" | "TW" => Some(Self::Offshore),
            "CN" => {
                let region = region.trim().to_lowercase();
                let zone = DIVISIONS.iter().find(|(_, iso, zh, en)| {
                    region == *iso || region.starts_with(zh) || region.starts_with(en)
                });
                Some(zone.map_or(Self::National, |(zone, ..)| *zone))
            }
            _ => None,
        }
    }
}
