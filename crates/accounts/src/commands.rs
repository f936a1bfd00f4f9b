//! The use cases that change something.

pub mod accept_invitation;
pub mod add_address;
pub mod begin_guest;
pub mod change_password;
pub mod change_profile;
pub mod create_account;
pub mod end_session;
pub mod erase_person;
pub(crate) mod export_person;
pub mod first_administrator;
pub mod invite_staff;
pub mod log_in;
pub mod make_api_key;
pub mod make_role;
pub mod prune;
pub(crate) mod record_act;
pub mod refresh_session;
pub mod replace_address;
pub mod retire_address;
pub mod revoke_api_key;
pub mod set_role;
pub mod set_staff;
