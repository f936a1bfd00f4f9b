//! shop_rules
