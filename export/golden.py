"""The texts that a bundle carries with their scores: by them a worker proves it computes alike.

Authored for this purpose; no text here is anyone's transcript.
"""

from collections.abc import Mapping

from stream.bundle import Precision

TEXTS = (
    "씨발 빨리 보내라",
    "미친놈들 진짜 짜증나네",
    "가슴 만져도 돼?",
    "예쁘네요, 남자친구 있어요?",
    "배송이 늦어서 불편합니다",
    "상담사님 친절하시네요",
    "제품이 예쁘다",
    "네 안녕하세요 인터넷 요금 문의 좀 드리려고요",
    "환불은 며칠 정도 걸리나요?",
    "아까 통화했던 분으로 다시 연결해 주세요",
    "주소는 서울시 마포구고요 번호는 010 1234 5678이에요",
    "네 알겠습니다 수고하세요",
)

TOLERANCES: Mapping[Precision, float] = {
    # Another CPU adds in another order; a score moves by some 1e-6.
    "fp32": 1e-3,
    # Eleven bits a number, and every GPU generation has kernels of its own.
    "fp16": 0.02,
    # Stored in 8 bits, computed as fp32 is.
    "int8": 1e-3,
}
"""How far a golden score may be off on the machine that serves, by precision."""
