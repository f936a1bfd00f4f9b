//! The built binary, badly treated: wrong words on the command line, foreign and broken files, operators'
//! commands beside a live shop and on a resting one.

mod backups;
mod command_line;
mod configured;
mod operations;
mod operators;
