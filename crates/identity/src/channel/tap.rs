//! A copy of what a channel gives to TLS, for the test that looks for rows in it.
//!
//! Only a build with failpoints holds it: in a release it is empty and writes nothing.

#[cfg(feature = "failpoints")]
pub(super) use copied::Tap;
#[cfg(not(feature = "failpoints"))]
pub(super) use nothing::Tap;

#[cfg(not(feature = "failpoints"))]
mod nothing {
    pub(in crate::channel) struct Tap;

    impl Tap {
        pub(in crate::channel) const fn open() -> Self {
            Self
        }

        pub(in crate::channel) const fn write(&self, _: &[u8]) {}
    }
}

#[cfg(feature = "failpoints")]
mod copied {
    use std::fs::{File, OpenOptions};
    use std::io::Write;
    use std::path::Path;
    use std::sync::atomic::{AtomicU64, Ordering};

    static OPENED: AtomicU64 = AtomicU64::new(0);

    pub(in crate::channel) struct Tap(Option<File>);

    impl Tap {
        /// A new file of its own in the directory that `WAYBILL_TAP` names, if it does.
        pub(in crate::channel) fn open() -> Self {
            let file = std::env::var_os("WAYBILL_TAP").map(|folder| {
                let number = OPENED.fetch_add(1, Ordering::AcqRel);
                let path = Path::new(&folder).join(format!("{}-{number}", std::process::id()));
                OpenOptions::new().create_new(true).append(true).open(path).expect("open the tap")
            });
            Self(file)
        }

        pub(in crate::channel) fn write(&self, bytes: &[u8]) {
            if let Some(mut file) = self.0.as_ref() {
                file.write_all(bytes).expect("write the tap");
            }
        }
    }
}
