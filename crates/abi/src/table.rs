//! Checks a table of the other side before anything in it is used. A field is read only through
//! here, because a table of an older side may end before it.

use std::error::Error;
use std::fmt;
use std::mem::size_of;

use crate::raw::Header;
use crate::reply::Code;

/// Why a table cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableError {
    /// The entry function refused the host's table.
    Refused(Code),
    /// The entry function panicked or gave no table.
    Missing,
    /// The pointer is not aligned for a table.
    Misaligned,
    /// The first word is not that of the table that was expected.
    WrongMagic {
        /// What was found.
        found: u64,
    },
    /// The table belongs to another major version.
    WrongMajor {
        /// What was found.
        found: u16,
    },
    /// The table ends before the last field of version 1.0.
    TooSmall {
        /// What the table says of itself, in bytes.
        size: u32,
        /// What version 1.0 needs, in bytes.
        least: usize,
    },
    /// A function of version 1.0 is null.
    NullFunction {
        /// The name of the field.
        name: &'static str,
    },
}

/// A table whose header was checked. It may be shorter or longer than `T`.
pub(crate) struct Table<T> {
    ptr: *const T,
    size: usize,
    minor: u16,
}

/// A place in a table, made by [`field!`] so that name, offset and type belong together.
pub(crate) struct Field<T, F> {
    pub(crate) name: &'static str,
    pub(crate) offset: usize,
    pub(crate) project: fn(*const T) -> *const Option<F>,
}

/// The [`Field`] of a table by name.
macro_rules! field {
    ($table:ty, $name:ident) => {
        $crate::table::Field {
            name: stringify!($name),
            offset: std::mem::offset_of!($table, $name),
            project: |table: *const $table| {
                // SAFETY: `Table::get` calls this only when the field lies inside the table.
                unsafe { &raw const (*table).$name }
            },
        }
    };
}
pub(crate) use field;

impl<T> Table<T> {
    /// # Safety
    ///
    /// `ptr` is null, or points to a [`Header`] whose `size` bytes are readable for as long as the
    /// result is used. A header that is not one of ours is noticed by its magic, not by this.
    pub(crate) unsafe fn check(
        ptr: *const T,
        magic: u64,
        least: usize,
    ) -> Result<Self, TableError> {
        if ptr.is_null() {
            return Err(TableError::Missing);
        }
        if !ptr.is_aligned() {
            return Err(TableError::Misaligned);
        }
        // SAFETY: not null, aligned, and a header is readable there as the caller promises.
        let header = unsafe { ptr.cast::<Header>().read() };
        if header.magic != magic {
            return Err(TableError::WrongMagic { found: header.magic });
        }
        if header.major != crate::raw::MAJOR {
            return Err(TableError::WrongMajor { found: header.major });
        }
        if (header.size as usize) < least {
            return Err(TableError::TooSmall { size: header.size, least });
        }
        Ok(Self { ptr, size: header.size as usize, minor: header.minor })
    }

    /// The minor version of its maker.
    pub(crate) fn minor(&self) -> u16 {
        self.minor
    }

    /// A function that any version may lack: `None` when the table ends before it or it is null.
    pub(crate) fn get<F: Copy>(&self, field: &Field<T, F>) -> Option<F> {
        if field.offset + size_of::<Option<F>>() > self.size {
            return None;
        }
        // SAFETY: the field ends inside the bytes that `check` was promised to be readable.
        unsafe { (field.project)(self.ptr).read() }
    }

    /// A function of version 1.0.
    pub(crate) fn require<F: Copy>(&self, field: &Field<T, F>) -> Result<F, TableError> {
        self.get(field).ok_or(TableError::NullFunction { name: field.name })
    }
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(code) => write!(f, "the plugin refused the host's table: {code}"),
            Self::Missing => f.write_str("there is no table"),
            Self::Misaligned => f.write_str("the table is not aligned"),
            Self::WrongMagic { found } => write!(f, "the table begins with {found:#018x}"),
            Self::WrongMajor { found } => {
                write!(f, "the table is of major version {found}, not {}", crate::raw::MAJOR)
            }
            Self::TooSmall { size, least } => {
                write!(f, "the table has {size} bytes and version 1.0 needs {least}")
            }
            Self::NullFunction { name } => write!(f, "the function {name} is null"),
        }
    }
}

impl Error for TableError {}

#[cfg(test)]
mod tests {
    use super::{Field, Table};
    use crate::raw::Header;

    type Function = extern "C" fn() -> u32;

    /// A table that got a field after version 1.0.
    #[repr(C)]
    struct Grown {
        header: Header,
        old: Option<Function>,
        new: Option<Function>,
    }

    extern "C" fn one() -> u32 {
        1
    }

    #[test]
    fn a_later_field_is_read_only_where_it_is() {
        fn check(size: u32, new: Option<Function>, expected: Option<u32>) {
            let header = Header { magic: 5, size, major: 1, minor: 0 };
            let grown = Grown { header, old: Some(one), new };
            // SAFETY: the table is readable as far as every size below says.
            let table = unsafe { Table::check(&raw const grown, 5, 24) }.unwrap();
            let old: Field<Grown, Function> = field!(Grown, old);
            assert_eq!(table.get(&old).map(|function| function()), Some(1));
            let found = table.get(&field!(Grown, new)).map(|function| function());
            assert_eq!(found, expected, "size {size}");
        }
        check(24, Some(one), None);
        check(31, Some(one), None);
        check(32, Some(one), Some(1));
        check(32, None, None);
    }
}
