//! How egress asks for the right to write one request of a spend. Who answers keeps the journal;
//! nothing here knows how.

use std::sync::Arc;

use async_trait::async_trait;
use purveyor_sdk::Error;
use purveyor_sdk::v1::{Effect, Price};

use super::clock::BootInstant;
use super::provider::PluginInfo;
use super::spend::Spend;

/// Gives permits for one step of one operation.
#[async_trait]
pub trait Permits: Send + Sync {
    /// Commits, durably, the right to write one request, and answers only after the commit was
    /// acknowledged. It is asked at most once a step, when the connection stands.
    ///
    /// # Errors
    ///
    /// Whatever keeps the permit from being given. No byte is written then, and the error is what
    /// the plugin gets.
    async fn permit(&self, request: PermitRequest) -> Result<Permit, Error>;

    /// Tells what became of the request for which a permit was given, as soon as the host knows it and
    /// before the plugin does.
    async fn observed(&self, spend: &Spend);
}

/// What is about to be written.
#[derive(Debug, Clone)]
pub struct PermitRequest {
    /// The call's name in the manifest.
    pub call: String,
    /// SETTING or SPEND.
    pub effect: Effect,
    /// The plugin whose call it is.
    pub plugin: Arc<PluginInfo>,
    /// What it will charge, where the plugin has just read it.
    pub price: Option<Price>,
}

/// The committed right to write one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permit {
    /// The attempt that the permit belongs to, from 1.
    pub attempt: u32,
    /// From this moment on the permit is void.
    pub deadline: BootInstant,
}
