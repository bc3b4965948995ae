//! In which encoding the text of a file is, as the user says; nothing here looks at one.

use serde::{Deserialize, Serialize};

use crate::run::named;

named! {
    /// An encoding, by its name on the web. UTF-16 is also told by its byte-order mark, whatever is said.
    Encoding {
        /// UTF-8.
        Utf8 = "utf-8",
        /// UTF-16, low bytes first.
        Utf16Le = "utf-16le",
        /// UTF-16, high bytes first.
        Utf16Be = "utf-16be",
        /// Each byte is the character of its number; on the web this name stands for windows-1252.
        Latin1 = "iso-8859-1",
        /// Western Europe, as Windows writes it.
        Windows1252 = "windows-1252",
        /// Central Europe, as Windows writes it.
        Windows1250 = "windows-1250",
        /// Cyrillic, as Windows writes it.
        Windows1251 = "windows-1251",
        /// Greek, as Windows writes it.
        Windows1253 = "windows-1253",
        /// Turkish, as Windows writes it.
        Windows1254 = "windows-1254",
        /// Hebrew, as Windows writes it.
        Windows1255 = "windows-1255",
        /// Arabic, as Windows writes it.
        Windows1256 = "windows-1256",
        /// Baltic, as Windows writes it.
        Windows1257 = "windows-1257",
        /// Vietnamese, as Windows writes it.
        Windows1258 = "windows-1258",
        /// Thai, as Windows writes it.
        Windows874 = "windows-874",
        /// Central Europe.
        Iso8859_2 = "iso-8859-2",
        /// South Europe.
        Iso8859_3 = "iso-8859-3",
        /// North Europe.
        Iso8859_4 = "iso-8859-4",
        /// Cyrillic.
        Iso8859_5 = "iso-8859-5",
        /// Arabic.
        Iso8859_6 = "iso-8859-6",
        /// Greek.
        Iso8859_7 = "iso-8859-7",
        /// Hebrew.
        Iso8859_8 = "iso-8859-8",
        /// Nordic.
        Iso8859_10 = "iso-8859-10",
        /// Baltic.
        Iso8859_13 = "iso-8859-13",
        /// Celtic.
        Iso8859_14 = "iso-8859-14",
        /// Western Europe with the euro.
        Iso8859_15 = "iso-8859-15",
        /// South-eastern Europe.
        Iso8859_16 = "iso-8859-16",
        /// Russian.
        Koi8R = "koi8-r",
        /// Ukrainian.
        Koi8U = "koi8-u",
        /// Western Europe, as old Macintoshes write it.
        Macintosh = "macintosh",
        /// Cyrillic, as DOS writes it.
        Ibm866 = "ibm866",
        /// Japanese, as Windows writes it.
        ShiftJis = "shift_jis",
        /// Japanese, as Unix writes it.
        EucJp = "euc-jp",
        /// Korean.
        EucKr = "euc-kr",
        /// Chinese, simplified.
        Gbk = "gbk",
        /// Chinese, all characters.
        Gb18030 = "gb18030",
        /// Chinese, traditional.
        Big5 = "big5",
    }
}

impl Encoding {
    /// Whether it is what is taken where nothing is said.
    #[must_use]
    pub fn is_utf8(&self) -> bool {
        *self == Self::Utf8
    }
}

/// How text of JSON is read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Json {
    /// Its encoding.
    #[serde(skip_serializing_if = "Encoding::is_utf8")]
    pub encoding: Encoding,
}
