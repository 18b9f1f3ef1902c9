//! Randomness that a seed determines: for this wire alone, because whoever knows the seed knows every key.
//!
//! rustls takes its randomness from a [`CryptoProvider`] that lives as long as the program. Ours has none of its own: it
//! draws on a [`Stream`] that the wire lends to the running thread while it calls into one of its peers
//! ([`Stream::within`]). Outside of that it refuses every byte, so it would be of no use even if it escaped.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::{agreement, hmac};
use ml_kem::kem::{Decapsulate as _, KeyExport as _};
use ml_kem::ml_kem_768;
use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
use rustls::crypto::{
    ActiveKeyExchange, CompletedKeyExchange, CryptoProvider, GetRandomFailed, SecureRandom,
    SharedSecret, SupportedKxGroup,
};
use rustls::ffdhe_groups::FfdheGroup;
use rustls::{Error, NamedGroup, PeerMisbehaved, ProtocolVersion};

/// An endless row of bytes, the same for the same seed and label: HMAC-SHA-256 over a counter.
#[derive(Debug, Clone)]
pub(super) struct Stream(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    key: hmac::Key,
    counter: u64,
}

thread_local! {
    static LENT: RefCell<Option<Stream>> = const { RefCell::new(None) };
}

impl Stream {
    pub(super) fn new(seed: u64, label: &str) -> Self {
        let seed = hmac::Key::new(hmac::HMAC_SHA256, &seed.to_be_bytes());
        let key = hmac::sign(&seed, label.as_bytes());
        Self(Arc::new(Mutex::new(State {
            key: hmac::Key::new(hmac::HMAC_SHA256, key.as_ref()),
            counter: 0,
        })))
    }

    pub(super) fn fill(&self, to: &mut [u8]) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for chunk in to.chunks_mut(32) {
            let block = hmac::sign(&state.key, &state.counter.to_be_bytes());
            state.counter += 1;
            for (to, from) in chunk.iter_mut().zip(block.as_ref()) {
                *to = *from;
            }
        }
    }

    pub(super) fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// Runs `call`; while it runs, and only in this thread, [`provider`] draws on this stream.
    pub(super) fn within<T>(&self, call: impl FnOnce() -> T) -> T {
        struct TakeBack;
        impl Drop for TakeBack {
            fn drop(&mut self) {
                LENT.set(None);
            }
        }
        LENT.set(Some(self.clone()));
        let _take_back = TakeBack;
        call()
    }
}

/// The lent stream's next bytes.
fn draw<const N: usize>() -> Result<[u8; N], GetRandomFailed> {
    let mut bytes = [0; N];
    Lent.fill(&mut bytes)?;
    Ok(bytes)
}

/// rustls' default provider with its randomness replaced, where both of our peers use it.
///
/// The groups P-256 and P-384 stand in the list so that the ClientHello looks as always; they would draw on the system's
/// randomness, but since both peers prefer the first group they are never begun.
pub(super) fn provider() -> CryptoProvider {
    CryptoProvider {
        kx_groups: vec![
            &X25519MlKem768,
            &X25519,
            kx_group::SECP256R1,
            kx_group::SECP384R1,
        ],
        secure_random: &Lent,
        ..default_provider()
    }
}

#[derive(Debug)]
struct Lent;

impl SecureRandom for Lent {
    fn fill(&self, buf: &mut [u8]) -> Result<(), GetRandomFailed> {
        LENT.with_borrow(|lent| lent.as_ref().map(|stream| stream.fill(buf)))
            .ok_or(GetRandomFailed)
    }
}

/// Diffie-Hellman over Curve25519 (RFC 7748).
#[derive(Debug)]
struct X25519;

impl SupportedKxGroup for X25519 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        Ok(Box::new(ActiveX25519::start()?))
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

struct ActiveX25519 {
    private: agreement::PrivateKey,
    public: agreement::PublicKey,
}

impl ActiveX25519 {
    fn start() -> Result<Self, Error> {
        let private = agreement::PrivateKey::from_private_key(&agreement::X25519, &draw::<32>()?)
            .map_err(|_| no_key())?;
        let public = private.compute_public_key().map_err(|_| no_key())?;
        Ok(Self { private, public })
    }

    fn agree(&self, peer: &[u8]) -> Result<SharedSecret, Error> {
        let peer = agreement::UnparsedPublicKey::new(&agreement::X25519, peer);
        agreement::agree(&self.private, peer, bad_share(), |secret| {
            Ok(SharedSecret::from(secret))
        })
    }
}

impl ActiveKeyExchange for ActiveX25519 {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        self.agree(peer)
    }

    fn pub_key(&self) -> &[u8] {
        self.public.as_ref()
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

/// The hybrid of ML-KEM-768 (FIPS 203) and X25519, in this order in shares and secret (draft-ietf-tls-ecdhe-mlkem,
/// section 4): 1184 + 32 bytes from the client, 1088 + 32 from the server, 32 + 32 of secret.
#[derive(Debug)]
struct X25519MlKem768;

/// The length of the ML-KEM-768 encapsulation key, which the client sends.
const ENCAPSULATION_KEY: usize = 1184;
/// The length of the ML-KEM-768 ciphertext, which the server answers.
const CIPHERTEXT: usize = 1088;

impl SupportedKxGroup for X25519MlKem768 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let classical = ActiveX25519::start()?;
        let kem = ml_kem_768::DecapsulationKey::from_seed(draw::<64>()?.into());
        let share = [
            kem.encapsulation_key().to_bytes().as_slice(),
            classical.pub_key(),
        ]
        .concat();
        Ok(Box::new(ActiveHybrid {
            classical,
            kem,
            share,
        }))
    }

    fn start_and_complete(&self, share: &[u8]) -> Result<CompletedKeyExchange, Error> {
        let (kem, classical) = share
            .split_at_checked(ENCAPSULATION_KEY)
            .ok_or(bad_share())?;
        let ours = ActiveX25519::start()?;
        let classical = ours.agree(classical)?;
        let kem = kem.try_into().map_err(|_| bad_share())?;
        let kem = ml_kem_768::EncapsulationKey::new(&kem).map_err(|_| bad_share())?;
        let (ciphertext, secret) = kem.encapsulate_deterministic(&draw::<32>()?.into());
        Ok(CompletedKeyExchange {
            group: self.name(),
            pub_key: [ciphertext.as_slice(), ours.pub_key()].concat(),
            secret: [secret.as_slice(), classical.secret_bytes()]
                .concat()
                .into(),
        })
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519MLKEM768
    }

    fn usable_for_version(&self, version: ProtocolVersion) -> bool {
        version == ProtocolVersion::TLSv1_3
    }
}

struct ActiveHybrid {
    classical: ActiveX25519,
    kem: ml_kem_768::DecapsulationKey,
    share: Vec<u8>,
}

impl ActiveKeyExchange for ActiveHybrid {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        let (kem, classical) = peer.split_at_checked(CIPHERTEXT).ok_or(bad_share())?;
        let classical = self.classical.agree(classical)?;
        let kem = self.kem.decapsulate_slice(kem).map_err(|_| bad_share())?;
        Ok([kem.as_slice(), classical.secret_bytes()].concat().into())
    }

    /// rustls offers the X25519 half as a share of its own, for a server that knows no ML-KEM.
    fn hybrid_component(&self) -> Option<(NamedGroup, &[u8])> {
        Some((NamedGroup::X25519, self.classical.pub_key()))
    }

    fn complete_hybrid_component(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        self.classical.agree(peer)
    }

    fn pub_key(&self) -> &[u8] {
        &self.share
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519MLKEM768
    }
}

fn bad_share() -> Error {
    PeerMisbehaved::InvalidKeyShare.into()
}

fn no_key() -> Error {
    Error::General("no X25519 key could be made".to_owned())
}
