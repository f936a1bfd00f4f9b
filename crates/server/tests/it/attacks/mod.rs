//! The built binary under attack: raw bytes on its socket, clients that dawdle, and secrets that must not get out.

mod malformed;
mod raw;
mod rounds;
mod secrets;
mod shapes;
mod slow;
mod target;
