//! Who may use a route. A required part of every route: there is no default to forget.

use merx_kernel::Permission;

/// The rule at the door of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody; tokens are not looked at.
    Public,
    /// Anybody who is logged in, in person: a program's key may not.
    LoggedIn {
        /// Whose objects the route touches.
        owner: Owner,
    },
    /// Who is logged in with this permission, or comes by a program's key that has it.
    Permission {
        /// The permission.
        permission: Permission,
        /// Whose objects the route touches.
        owner: Owner,
    },
    /// Who is logged in with this permission, in person: a program's key may not.
    SessionPermission {
        /// The permission.
        permission: Permission,
        /// Whose objects the route touches.
        owner: Owner,
    },
    /// A machine whose signature the handler itself verifies; says whose and how.
    Signed(&'static str),
}

/// How a route keeps foreign objects out. The handler carries the rule out; a foreign object is a 404.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Only objects of the caller's account; says how that is made sure.
    Account(&'static str),
    /// The object belongs to nobody in particular; says why that is right.
    None(&'static str),
}

impl Access {
    /// The owner rule, where there is a caller.
    pub const fn owner(&self) -> Option<Owner> {
        match self {
            Self::LoggedIn { owner }
            | Self::Permission { owner, .. }
            | Self::SessionPermission { owner, .. } => Some(*owner),
            Self::Public | Self::Signed(_) => None,
        }
    }
    /// Whether a token is demanded.
    pub const fn needs_login(&self) -> bool {
        matches!(self, Self::LoggedIn { .. } | Self::Permission { .. } | Self::SessionPermission { .. })
    }
    /// The permission that is demanded.
    pub const fn permission(&self) -> Option<Permission> {
        match self {
            Self::Permission { permission, .. } | Self::SessionPermission { permission, .. } => {
                Some(*permission)
            }
            Self::LoggedIn { .. } | Self::Public | Self::Signed(_) => None,
        }
    }
    /// Whether a program's key may not.
    pub const fn session_only(&self) -> bool {
        matches!(self, Self::LoggedIn { .. } | Self::SessionPermission { .. })
    }
}

impl Owner {
    /// The sentence of the rule.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Account(reason) | Self::None(reason) => reason,
        }
    }
}
