//! The one integration-test binary: a module per story.

mod architecture;
mod assurance;
mod commit;
mod once;
mod postgres;
mod wire;
