//! Pickles by hand: what is read, what is refused.

use super::{Element, Graph, Of, Problem, Value};

fn read(bytes: &[u8]) -> Result<Graph, Problem> {
    super::read(bytes, Of::Tensors)
}

/// `pickle.dumps(value, 2)` with opcodes as Python writes them.
fn pickle(body: &[u8]) -> Vec<u8> {
    [b"\x80\x02", body, b"."].concat()
}

const FLOATS: &[u8] = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x06tQ";

#[test]
fn a_state_dict_is_read_as_torch_writes_it() {
    // OrderedDict(w=[2, 3] floats, marked with BUILD as state_dict() does), beside an epoch.
    let tensor = [
        b"ctorch._utils\n_rebuild_tensor_v2\n(" as &[u8],
        FLOATS,
        b"K\x00K\x02K\x03\x86K\x03K\x01\x86\x89ccollections\nOrderedDict\n)RtR",
    ]
    .concat();
    let body = [
        b"}q\x00(X\x05\0\0\0modelccollections\nOrderedDict\n)Rq\x01X\x01\0\0\0w" as &[u8],
        &tensor,
        b"s}X\x09\0\0\0_metadataNsbX\x05\0\0\0epochK\x07X\x03\0\0\0accG\x3f\xe0\0\0\0\0\0\0X\x03\0\0\0devh\x01u",
    ]
    .concat();
    let graph = read(&pickle(&body)).expect("a checkpoint");
    let model = graph.get(&graph.root, "model").expect("a model");
    let Some(Value::Tensor(array)) = graph.get(model, "w") else {
        panic!("no tensor in {graph:?}")
    };
    assert_eq!(array.shape(), [2, 3]);
    assert_eq!((array.storage.element, array.storage.length), (Element::F32, 6));
    assert_eq!(graph.get(&graph.root, "epoch"), Some(&Value::Int(7)));
    assert_eq!(graph.get(&graph.root, "acc"), Some(&Value::Float(0.5)));
    assert_eq!(graph.get(&graph.root, "dev"), Some(model), "the same dictionary");
    assert_eq!(graph.length, body.len() + 3);
}

#[test]
fn anything_that_would_run_is_refused_by_its_name() {
    // What a malicious file does: os.system("..."), under each way of naming it.
    let by_line = b"cposix\nsystem\nX\x04\0\0\0true\x85R";
    let by_stack = b"\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R";
    for (body, name) in [(&by_line[..], "posix.system"), (by_stack, "os.system")] {
        let error = read(&pickle(body)).expect_err(name).to_string();
        assert!(error.contains(name) && error.contains("execute"), "{error}");
    }
    for (module, name, hint) in [
        ("builtins", "eval", "builtins.eval"),
        ("__builtin__", "getattr", "__builtin__.getattr"),
        ("torch", "load", "torch.load"),
        ("torch.serialization", "_load", "torch.serialization._load"),
        (
            "torch.jit._script",
            "unpackage_script_module",
            "torch.jit._script",
        ),
        ("numpy.core.multiarray", "scalar", "NumPy"),
        ("torch.nn.modules.container", "Sequential", "whole module"),
    ] {
        let error = read(&pickle(format!("c{module}\n{name}\n").as_bytes()))
            .expect_err(name)
            .to_string();
        assert!(error.contains(hint) && error.contains("state_dict"), "{error}");
    }
    // Instances, extension codes, out-of-band buffers, ids as text: never written for tensors.
    for body in [
        b"(ios\nsystem\n" as &[u8],
        b"(cos\n",
        b"\x82\x01",
        b"\x97",
        b"P0\n",
        b"o",
    ] {
        assert!(read(&pickle(body)).is_err(), "{body:?}");
    }
    // A class that is known is still no function.
    assert!(read(&pickle(b"ctorch\nFloatStorage\n)R")).is_err());
}

#[test]
fn damage_and_nonsense_are_errors_never_panics() {
    let body = [
        b"ctorch._utils\n_rebuild_tensor_v2\n(" as &[u8],
        FLOATS,
        b"K\x00K\x02K\x03\x86K\x03K\x01\x86\x89NtR",
    ]
    .concat();
    let whole = pickle(&body);
    assert!(read(&whole).is_ok());
    for cut in 0..whole.len() {
        assert!(read(&whole[..cut]).is_err(), "{cut} bytes");
    }
    for at in 0..whole.len() {
        for value in [0, b'(', b'R', b't', b'h', 0x7f, 0x86, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] = value;
            let _ = read(&bytes);
        }
    }
    for body in [
        b"K\x01K\x02s" as &[u8],
        b"}(K\x01u",
        b"]K\x01K\x02s",
        b"h\x09",
        b"q\x01",
        b"t",
        b"a",
        b"(K\x01",
        b"\x8a\x09AAAAAAAAA",
        b"X\xff\xff\xff\xffa",
        b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff",
        b"ctorch._utils\n_rebuild_tensor_v2\n)R",
    ] {
        assert!(read(&pickle(body)).is_err(), "{body:?}");
    }
    // A list inside itself, and a hundred thousand lists in each other.
    let graph = read(&pickle(b"]q\x00h\x00a")).expect("a list");
    assert_eq!(graph.sequence(&graph.root), Some(&[Value::Node(0)][..]));
    // A memorised list of pairs, made a dictionary of as often as fits: memory without end.
    let pairs = b"]q\x00(K\x01K\x02\x86K\x03K\x04\x86e\x85q\x010ccollections\nOrderedDict\nq\x020".to_vec();
    let again = |times| pickle(&[pairs.clone(), b"h\x02h\x01R0".repeat(times), b"N".to_vec()].concat());
    assert!(read(&again(10)).is_ok());
    assert!(read(&again(10_000)).is_ok(), "each takes more bytes than pairs");
    let wide = [
        b"](" as &[u8],
        &b"K\x01K\x02\x86".repeat(500),
        b"e\x85q\x010ccollections\nOrderedDict\nq\x020",
    ]
    .concat();
    let bomb = pickle(&[wide, b"h\x02h\x01R0".repeat(500), b"N".to_vec()].concat());
    assert!(read(&bomb).is_err());
    let deep = pickle(&[vec![b']'; 100_000], vec![b'a'; 99_999]].concat());
    assert!(read(&deep).is_ok());
}

#[test]
fn integers_keep_their_sign() {
    for (body, value) in [
        (b"\x8a\x00" as &[u8], 0),
        (b"\x8a\x01\xff", -1),
        (b"\x8a\x03\x40\x42\x0f", 1_000_000),
        (b"J\xfe\xff\xff\xff", -2),
        (b"M\x01\x02", 513),
    ] {
        assert_eq!(read(&pickle(body)).expect("an integer").root, Value::Int(value));
    }
}

/// The same list of a text, bytes and numbers in protocols 0, 2 and 3 (`pickle.dumps([...], n)`).
#[test]
fn old_and_new_protocols_say_the_same() {
    let zero = b"(lp0\nS'a\\xff\\n'\np1\naV\\u20ac\np2\naI7\naI01\naL-2L\naF0.5\nag1\na.";
    let two = b"\x80\x02]q\x00(U\x03a\xff\nq\x01X\x03\0\0\0\xe2\x82\xacq\x02K\x07\x88J\xfe\xff\xff\xffG\x3f\xe0\0\0\0\0\0\0h\x01e.";
    let three = b"\x80\x03]q\x00(C\x03a\xff\nq\x01X\x03\0\0\0\xe2\x82\xacq\x02K\x07\x88\x8b\x01\0\0\0\xfeG\x3f\xe0\0\0\0\0\0\0\x32e.";
    let bytes = || Value::Bytes(b"a\xff\n"[..].into());
    let mut wanted = [
        bytes(),
        Value::Text("\u{20ac}".into()),
        Value::Int(7),
        Value::Bool(true),
        Value::Int(-2),
        Value::Float(0.5),
        bytes(),
    ];
    for (number, pickle) in [(0, &zero[..]), (2, two), (3, three)] {
        let graph = super::read(pickle, Of::Arrays).expect("a list");
        if number == 3 {
            // The last is a second look at the one before.
            wanted[6] = Value::Float(0.5);
        }
        assert_eq!(
            graph.sequence(&graph.root),
            Some(&wanted[..]),
            "protocol {number}"
        );
    }
    // bytes(b"\xff") in protocol 2: encoded from text. Any other function is refused by its name.
    let encoded = b"\x80\x02c_codecs\nencode\nX\x02\0\0\0\xc3\xbfX\x06\0\0\0latin1\x86R.";
    let graph = super::read(encoded, Of::Arrays).expect("bytes");
    assert_eq!(graph.root, Value::Bytes(b"\xff"[..].into()));
    let error = super::read(b"cos\nsystem\n.", Of::Arrays)
        .expect_err("a command")
        .to_string();
    assert!(
        error.contains("os.system") && error.contains("executed"),
        "{error}"
    );
}

/// Lists of a list of a list ..., each twice in the next: 60 levels are 2^60 items for a reader that copies.
#[test]
fn a_small_pickle_that_stands_for_a_huge_value_costs_no_more_than_its_bytes() {
    let mut bomb = b"\x80\x02]q\x00".to_vec();
    for level in 1..=60_u8 {
        bomb.extend([b']', b'q', level, b'(', b'h', level - 1, b'h', level - 1, b'e']);
    }
    bomb.push(b'.');
    for of in [Of::Tensors, Of::Arrays] {
        let graph = super::read(&bomb, of).expect("lists");
        assert_eq!(graph.sequence(&graph.root).map(<[Value]>::len), Some(2));
    }
}
