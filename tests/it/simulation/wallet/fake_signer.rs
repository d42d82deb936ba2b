//! The signer as the process sees it: mostly there, sometimes slow, away, or unwilling.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use rampwatch::domain::chain::{Address, B256};
use rampwatch::domain::time::Span;
use rampwatch::ports::clock::Clock;
use rampwatch::ports::signer::{DigestSignature, Signer, SignerError};

use super::super::fuse::{Life, Point};
use super::super::rng::Rng;
use super::super::world::World;
use super::bytes;
use super::fortune::Fortune;

/// The signer port of one life of the process.
pub(super) struct FakeSigner {
    world: Arc<World>,
    life: Arc<Life>,
    address: Address,
    rng: Mutex<Rng>,
}

impl FakeSigner {
    /// The port of this life.
    pub(super) fn new(world: Arc<World>, life: Arc<Life>, address: Address) -> Self {
        let rng = Mutex::new(Rng::stream(world.seed, &format!("signer of life {}", life.number)));
        Self { world, life, address, rng }
    }

    /// What goes wrong now, if anything.
    fn draw_fault(&self) -> Option<SignerError> {
        let wallet = self.world.settings.wallet.as_ref()?;
        let elapsed = self.world.clock.elapsed();
        let mut rng = self.rng.lock().expect("one thread");
        let fails = self.world.is_chaos() && rng.permille(wallet.signer_faults);
        let words = "simulated".to_owned();
        if wallet.fortunes.is(elapsed, Fortune::SignerRefuses) || (fails && rng.permille(300)) {
            self.world.count("signer: refuses");
            return Some(SignerError::Refused(words));
        }
        if wallet.fortunes.is(elapsed, Fortune::SignerAway) || fails {
            self.world.count("signer: away");
            return Some(SignerError::Unavailable(words));
        }
        None
    }
}

#[async_trait]
impl Signer for FakeSigner {
    fn address(&self) -> Address {
        self.address
    }

    async fn sign(&self, digest: B256) -> Result<DigestSignature, SignerError> {
        self.life.before(Point::SignerSign).await;
        let (wait, which) = {
            let mut rng = self.rng.lock().expect("one thread");
            let slow = self.world.is_chaos() && rng.permille(30);
            (if slow { rng.range(500, 5_000) } else { rng.range(1, 120) }, rng.next())
        };
        let fault = self.draw_fault();
        self.world.clock.sleep(Span::from_millis(wait)).await;
        self.life.after(Point::SignerSign).await;
        match fault {
            Some(error) => Err(error),
            None => Ok(DigestSignature { r: bytes::seal(self.address, digest, which), s: digest, y_is_odd: false }),
        }
    }
}
