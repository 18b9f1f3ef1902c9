//! Certificates and keys in files: made once, never overwritten; read with a clear word for each way they can be wrong.

use core::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use rustls::pki_types::pem::{self as pem_format, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use time::{Duration, OffsetDateTime};

use super::{Authority, CertError, Validity};
use crate::reason::reason;

/// The files that [`make`] made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The authority's certificate, for those who shall trust the server.
    pub ca: PathBuf,
    /// The server's certificate.
    pub certificate: PathBuf,
    /// The server's private key, which nobody but the owner may read.
    pub key: PathBuf,
    /// What the server's certificate is for.
    pub names: Vec<String>,
    /// Until when.
    pub until: OffsetDateTime,
}

/// Makes an authority and a certificate for a server in the folder `dir`: `ca.crt`, `server.crt`, `server.key`.
///
/// The server is known by `names`, valid for so many days from now on. The authority's private key is not kept: so
/// nobody can steal it and sign other servers in its name. Whoever needs one more server makes a new authority.
///
/// # Errors
/// When one of the files is there already, a name cannot stand in a certificate, or a file cannot be written. What was
/// made until then is removed.
pub fn make(dir: &Path, names: &[&str], days: u16) -> Result<Files, FileError> {
    let now = OffsetDateTime::now_utc();
    let validity = Validity {
        // Clocks differ a little.
        from: now - Duration::HOUR,
        until: now + Duration::days(days.into()),
    };
    // Each authority has a name of its own: so it is clear which one signed what, should there be several.
    let mut number = [0; 4];
    let random = SystemRandom::new();
    random.fill(&mut number).map_err(|_| CertError::Key)?;
    let name = format!("layerwise chat CA {:08x}", u32::from_be_bytes(number));
    let authority = Authority::new(&name, validity)?;
    let identity = authority.issue(names, validity)?;
    let chain: String = identity
        .chain
        .iter()
        .map(|certificate| pem("CERTIFICATE", certificate))
        .collect();
    let files = Files {
        ca: dir.join("ca.crt"),
        certificate: dir.join("server.crt"),
        key: dir.join("server.key"),
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        until: validity.until,
    };
    // All three are looked for before anything is made, so that the message is about the first thing in the way.
    for path in [&files.ca, &files.certificate, &files.key] {
        if path.symlink_metadata().is_ok() {
            return Err(FileError::Exists(path.clone()));
        }
    }
    let mut made = Made::default();
    made.dir(dir)?;
    made.file(
        &files.key,
        &pem("PRIVATE KEY", identity.key.secret_pkcs8_der()),
        0o600,
    )?;
    made.file(&files.certificate, &chain, 0o644)?;
    made.file(
        &files.ca,
        &pem("CERTIFICATE", authority.certificate()),
        0o644,
    )?;
    made.keep();
    Ok(files)
}

/// What has been made so far; removed again unless it is all there in the end.
#[derive(Default)]
struct Made {
    dirs: Vec<PathBuf>,
    files: Vec<PathBuf>,
}

impl Made {
    fn dir(&mut self, dir: &Path) -> Result<(), FileError> {
        let missing = dir
            .ancestors()
            .take_while(|dir| !dir.as_os_str().is_empty() && !dir.exists());
        let mut missing: Vec<&Path> = missing.collect();
        while let Some(dir) = missing.pop() {
            // Others may look in: the authority's certificate is for them. The key has its own lock.
            fs::create_dir(dir).map_err(|error| FileError::io("make the folder", dir, error))?;
            self.dirs.push(dir.to_owned());
        }
        Ok(())
    }

    /// Creates a file that was not there; it has its mode from the first moment on.
    fn file(&mut self, path: &Path, text: &str, mode: u32) -> Result<(), FileError> {
        let mut file = create_new(path, mode).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => FileError::Exists(path.to_owned()),
            _ => FileError::io("create", path, error),
        })?;
        self.files.push(path.to_owned());
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(|error| FileError::io("write", path, error))
    }

    fn keep(mut self) {
        self.files.clear();
        self.dirs.clear();
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        // An error here would hide the one that matters.
        for file in &self.files {
            let _ = fs::remove_file(file);
        }
        for dir in self.dirs.iter().rev() {
            let _ = fs::remove_dir(dir);
        }
    }
}

/// Creates a file that was not there (O_EXCL, which follows no link), with that mode from the first moment on.
pub(crate) fn create_new(path: &Path, mode: u32) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    options.open(path)
}

/// PEM (RFC 7468): base64 in lines of 64 characters between two markers.
#[must_use]
pub fn pem(label: &str, der: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in der.chunks(48) {
        for group in line.chunks(3) {
            let mut bits = 0_u32;
            for at in 0..3 {
                bits = bits << 8 | u32::from(group.get(at).copied().unwrap_or(0));
            }
            for at in 0..4 {
                let digit = (bits >> (18 - 6 * at) & 63) as usize;
                // n bytes make n + 1 digits; the rest is padding.
                let digit = (at <= group.len()).then(|| DIGITS.get(digit)).flatten();
                text.push(digit.copied().unwrap_or(b'=').into());
            }
        }
        text.push('\n');
    }
    text + "-----END " + label + "-----\n"
}

/// The certificates in a PEM file, at least one.
///
/// # Errors
/// When the file cannot be read, is not PEM, or holds no certificate.
pub fn load_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let text = read(path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let chain = chain.map_err(|error| FileError::pem(path, error))?;
    if chain.is_empty() {
        return Err(FileError::NoCertificate(path.to_owned()));
    }
    Ok(chain)
}

/// The first private key in a PEM file: PKCS #8, PKCS #1 (RSA) or SEC 1 (EC).
///
/// # Errors
/// When the file cannot be read, is not PEM, holds no key, or one that is encrypted.
pub fn load_key(path: &Path) -> Result<PrivateKeyDer<'static>, FileError> {
    let text = read(path)?;
    let has = |needle: &[u8]| memchr::memmem::find(&text, needle).is_some();
    if has(b"BEGIN ENCRYPTED PRIVATE KEY") || has(b"Proc-Type: 4,ENCRYPTED") {
        return Err(FileError::Encrypted(path.to_owned()));
    }
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        pem_format::Error::NoItemsFound => FileError::NoKey(path.to_owned()),
        other => FileError::pem(path, other),
    })
}

fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    fs::read(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => FileError::Missing(path.to_owned()),
        _ => FileError::io("read", path, error),
    })
}

/// Why certificates could not be made or read.
#[derive(Debug)]
pub enum FileError {
    /// The file is there already.
    Exists(PathBuf),
    /// The file is not there.
    Missing(PathBuf),
    /// The operating system refused: what was tried, with which file, and its word.
    Io(&'static str, PathBuf, io::Error),
    /// The certificate itself could not be made.
    Certificate(CertError),
    /// The file is no PEM: why.
    Pem(PathBuf, String),
    /// The file holds no certificate.
    NoCertificate(PathBuf),
    /// The file holds no private key.
    NoKey(PathBuf),
    /// The private key is encrypted with a password.
    Encrypted(PathBuf),
}

impl FileError {
    fn io(what: &'static str, path: &Path, error: io::Error) -> Self {
        Self::Io(what, path.to_owned(), error)
    }

    fn pem(path: &Path, error: pem_format::Error) -> Self {
        Self::Pem(path.to_owned(), format!("{error:?}"))
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists(path) => write!(
                f,
                "{} is there already and is not overwritten: remove it, or give another folder with --dir",
                path.display()
            ),
            Self::Missing(path) => write!(f, "there is no file {}", path.display()),
            Self::Io(what, path, error) => {
                write!(f, "cannot {what} {}: {}", path.display(), reason(error))
            }
            Self::Certificate(error) => error.fmt(f),
            Self::Pem(path, error) => write!(
                f,
                "{} is no PEM file (base64 between BEGIN and END lines): {error}",
                path.display()
            ),
            Self::NoCertificate(path) => write!(
                f,
                "{} holds no certificate: a PEM file with BEGIN CERTIFICATE is needed (from DER: openssl x509 -inform DER -in FILE)",
                path.display()
            ),
            Self::NoKey(path) => write!(
                f,
                "{} holds no private key: a PEM file with BEGIN PRIVATE KEY is needed",
                path.display()
            ),
            Self::Encrypted(path) => write!(
                f,
                "the private key in {0} is encrypted with a password: write one without it (openssl pkey -in {0} -out server.key) and keep it to yourself (chmod 600)",
                path.display()
            ),
        }
    }
}

impl core::error::Error for FileError {}

impl From<CertError> for FileError {
    fn from(error: CertError) -> Self {
        Self::Certificate(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_padded_and_cut_into_lines() {
        // RFC 4648, section 10.
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg==\n"),
            ("fo", "Zm8=\n"),
            ("foo", "Zm9v\n"),
            ("foob", "Zm9vYg==\n"),
        ] {
            let expected = format!("-----BEGIN X-----\n{text}-----END X-----\n");
            assert_eq!(pem("X", bytes.as_bytes()), expected);
        }
        let long = pem("X", &[0xff; 49]);
        assert_eq!(long.lines().nth(1).map(str::len), Some(64));
        assert_eq!(long.lines().nth(2), Some("/w=="));
    }
}
