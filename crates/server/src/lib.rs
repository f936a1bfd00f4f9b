//! The binary `merx`: command line, configuration, wiring. Straight-line code; rules live in the contexts.

pub mod admin;
pub mod asks;
pub mod cli;
pub mod client;
pub mod commands;
pub mod config;
pub mod demo;
mod error_pages;
pub mod files;
pub mod grpc;
pub mod instance;
pub mod kill_points;
mod order_link;
pub mod run;
pub mod shop;
