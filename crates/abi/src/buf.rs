//! Bytes that cross without being copied: [`OwnedBuf`] holds a [`raw::Buf`] and releases it when
//! dropped. It must not hand out anything but shared access, since the bytes may be another side's.

use std::error::Error;
use std::ffi::c_void;
use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::Deref;

use crate::panic;
use crate::raw;

/// Bytes with their release function. `bytes::Bytes::from_owner` takes it as it is.
pub struct OwnedBuf {
    /// Valid as [`OwnedBuf::from_raw`] demands, and not released yet.
    raw: raw::Buf,
}

// SAFETY: the bytes do not change while a `Buf` lives and its release may run on any thread; both
// are part of the contract, and `from_owner` asks the same of the types of this side.
unsafe impl Send for OwnedBuf {}
// SAFETY: as above; `&OwnedBuf` only reads.
unsafe impl Sync for OwnedBuf {}

/// A buffer from the other side that says something impossible about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BufError;

impl OwnedBuf {
    /// No bytes; allocates nothing.
    pub const fn new() -> Self {
        Self { raw: raw::Buf::EMPTY }
    }

    /// Lets `owner` travel with its bytes. Copies nothing; one small allocation holds the owner.
    pub fn from_owner<T: AsRef<[u8]> + Send + Sync + 'static>(owner: T) -> Self {
        // Boxed before the bytes are asked for, because an owner may keep them inline.
        let owner = Box::into_raw(Box::new(owner));
        // SAFETY: just made from a box, and nobody else has it.
        let bytes = unsafe { &*owner }.as_ref();
        let (ptr, len) = (bytes.as_ptr(), bytes.len());
        Self { raw: raw::Buf { ptr, len, owner: owner.cast(), release: Some(release::<T>) } }
    }

    /// Takes over a buffer that the other side made. On an error it was released already.
    ///
    /// # Safety
    ///
    /// `raw` keeps the contract of [`raw::Buf`] and nobody else will use or release it. Only a null
    /// pointer with a length and a length over `isize::MAX` are noticed here.
    pub unsafe fn from_raw(raw: raw::Buf) -> Result<Self, BufError> {
        let sound = raw.len == 0 || (!raw.ptr.is_null() && raw.len <= isize::MAX as usize);
        let buf = Self { raw };
        if sound { Ok(buf) } else { Err(BufError) }
    }

    /// Gives the bytes away; whoever gets them releases them.
    pub fn into_raw(self) -> raw::Buf {
        let this = ManuallyDrop::new(self);
        let raw::Buf { ptr, len, owner, release } = this.raw;
        raw::Buf { ptr, len, owner, release }
    }
}

unsafe extern "C" fn release<T>(owner: *mut c_void) {
    // A panic here has no caller to answer; the panic hook has told it, and it ends here.
    // SAFETY: `owner` was made by `from_owner::<T>` and is released once.
    panic::contain(|| drop(unsafe { Box::from_raw(owner.cast::<T>()) }));
}

impl Drop for OwnedBuf {
    fn drop(&mut self) {
        if let Some(release) = self.raw.release {
            // SAFETY: this side owns the buffer and drops it once.
            unsafe { release(self.raw.owner) };
        }
    }
}

impl Deref for OwnedBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        if self.raw.len == 0 {
            return &[];
        }
        // SAFETY: `from_raw` and `from_owner` admit only a pointer that is valid for the length.
        unsafe { std::slice::from_raw_parts(self.raw.ptr, self.raw.len) }
    }
}

impl AsRef<[u8]> for OwnedBuf {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Default for OwnedBuf {
    fn default() -> Self {
        Self::new()
    }
}

impl From<Vec<u8>> for OwnedBuf {
    fn from(bytes: Vec<u8>) -> Self {
        if bytes.is_empty() { Self::new() } else { Self::from_owner(bytes) }
    }
}

impl From<String> for OwnedBuf {
    fn from(text: String) -> Self {
        text.into_bytes().into()
    }
}

impl From<&'static [u8]> for OwnedBuf {
    fn from(bytes: &'static [u8]) -> Self {
        Self { raw: raw::Buf { ptr: bytes.as_ptr(), len: bytes.len(), ..raw::Buf::EMPTY } }
    }
}

impl From<&'static str> for OwnedBuf {
    fn from(text: &'static str) -> Self {
        text.as_bytes().into()
    }
}

/// Prints the length only: the bytes may hold a secret.
impl fmt::Debug for OwnedBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedBuf").field("len", &self.raw.len).finish_non_exhaustive()
    }
}

impl fmt::Display for BufError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the buffer has a length but no bytes, or an impossible length")
    }
}

impl Error for BufError {}
