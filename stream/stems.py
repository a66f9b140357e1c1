"""The abusive stems whose hidden spellings are undone, as data: see `spellings` and `deobfuscate`.

A stem is listed once. Symbols, digits and spaces inside it, single jamo, look-alike and Latin
letters, stretches and keyboard slips follow by rule. A `~` after a syllable says that its sound may
vary as well (시~ is also 씨, 쉬, 씌, 쓰, 슈): only where no ordinary word is met.
"""

from dataclasses import dataclass
from functools import cache
from typing import Literal

Apart = Literal["never", "aimed", "called", "free"]


@dataclass(frozen=True)
class Stem:
    """A stem, its spellings and what makes it innocent; lists are divided by spaces (| is one)."""

    plain: str
    """As it is written in the open; the first is put in place of a spelling of no other."""
    spelled: str = ""
    """Other spellings to find it by."""
    initials: str = ""
    """The initial consonants that stand for it by themselves."""
    initials_before: str = ""
    """What must follow the initials where they are ambiguous: any of these."""
    initials_not_before: str = ""
    """What behind makes an innocent abbreviation of them: ㅂㅅ 언제 와요 (배송)."""
    apart: Apart = "free"
    """When may white space split it? aimed: if both sides show abuse; called: after a shout too."""
    not_after: str = ""
    """What in front makes an innocent word of it: 다 시발."""
    not_before: str = ""
    """What behind makes an innocent word of it: 시발 송."""

    @property
    def forms(self) -> tuple[str, ...]:
        return tuple(self.plain.split())


@cache
def any_of(words: str) -> tuple[str, ...]:
    """Return the words of a list in the table, for `startswith` and `endswith`; | is a space."""
    return tuple(word.replace("|", " ") for word in words.split())


# Before 시발: hours, words that end in 시 or 씨. Behind it: words that begin with 발, and 시뻘건.
_SI = "다 택 접 역 즉 혹 잠 몇 한 두 세 네 섯 곱 덟 홉 열 저 솜 글 불 날 맵 말"
_BAL = (
    "송 행 표 급 권 생 견 매 효 령 전 신 달 역 점 택 주 굴 명 음 열 포 코 차 자 진단 진이 진도 화 "
    "동 각 볼 목 톱 가락 바닥 등 밑 걸음 냄 아가 아율 아를 아시 라 치수 사이즈 "
    "게졌 게진 게요 겋 건 긋"
)
# What goes on from 씨 발 when a foot or a seed is meant.
_FOOT = "볼 목 톱 가락 바닥 등 밑 걸음 냄 아 라 치수 사이즈 색 크 작 이| 이요 을 에 도 은 는 만"
# How the verbs 보지 and 자지 go on.
_JI = (
    "않 못 말 마 도 는 를 만 요 안 모 러 고 니 면 며 다 던 게 나 네 라 이 지 |않 |못 |말 |마 |그래"
)

STEMS: tuple[Stem, ...] = (
    Stem(
        "시발 시팔",
        "시~발~ 시~팔~ 시~불 싯~팔 싯~발",
        "ㅅㅂ",
        apart="aimed",
        not_after=_SI,
        not_before=_BAL,
    ),
    Stem("씨발 씨팔 씨벌", "씹알 띠발", "ㅆㅂ", apart="called", not_after=_SI, not_before=_FOOT),
    Stem("시발년 씨발년", "시~발~년", "ㅅㅂㄴ ㅆㅂㄴ", not_after=_SI),
    Stem("씨발놈 시발놈", "시~발~놈 시~발~넘 시~발~롬", not_after=_SI),
    Stem("씨부랄 시부랄 씨부럴 시부럴", "시~부~랄~ 시~브~랄~", apart="called"),
    Stem("시바", apart="never", not_after=_SI, not_before="견 이 신 스 여"),
    Stem("씨바", apart="called", not_after=_SI, not_before="구 로 르 이|올"),
    Stem("씹새끼 십새끼", "씹새~끼~ 십새~끼~"),
    Stem("씹년", apart="aimed"),
    Stem(
        "병신 빙신",
        "병~신~",
        "ㅂㅅ ㅄ",
        apart="aimed",
        not_after="공 질 산 화 꽃 캔 간 직 물",
        not_before="청 고 형 규 문 상 축 년",
        initials_not_before="언제 조회 출발 완료 지연 왔 추적",
    ),
    Stem(
        "개새끼 게새끼",
        "개새~끼~ 게새~끼~ 개섹~히 개색~끼~ 개쉐이 개섀이 개객끼 개쉑",
        "ㄱㅅㄲ",
        not_before="줄 손 발 우 워",
    ),
    Stem(
        "새끼 새꺄",
        "쌔끼 섀끼 색끼 쉐끼 쌔꺄",
        "ㅅㄲ",
        apart="aimed",
        not_before="줄 손 발 우 워 돼 곰 양 염 니 고 를 룩",
        initials_not_before="변경 선택 교환 다른 뭐|있",
    ),
    Stem("거지새끼", "거지새~끼~"),
    Stem("호로새끼", "호로새~끼~"),
    Stem("호로자식 후레자식"),
    Stem("개자식", "개저식"),
    Stem("개소리", apart="never"),
    Stem("개같은", "개가튼", apart="never"),
    Stem("지랄", "지~랄~ 지롤", "ㅈㄹ"),
    Stem(
        "미친",
        "미췬 미춴",
        "ㅁㅊ",
        apart="aimed",
        not_after="다",
        not_before="구 정 척 환 절 듯 고",
    ),
    Stem("미친년", "미~친~년", "ㅁㅊㄴ"),
    Stem("미친놈", "미~친~놈 미~친~넘 미틴넘 미틴놈"),
    Stem(
        "존나",
        "존~나 존~내",
        "ㅈㄴ",
        apart="aimed",
        not_after="보 세 이 공 기",
        not_before="눔 누 무 와 라 고 부",
    ),
    Stem("좆같", "좃같 좇같 졎같 좆가튼"),
    Stem("좆같", "젖같 족같 젓같 젓까튼", apart="never"),
    Stem("좆까", "좃까 좇까 조까", "ㅈㄲ", not_before="지 치 이"),
    Stem("좆도", "좃도 좇도"),
    Stem("좆나", "좃나 좇나"),
    Stem(
        "꺼져",
        "",
        "ㄲㅈ",
        apart="aimed",
        not_after="시 일 월 제 날 주 늘 말 금 달 년 전 후 침 녁 밤",
        not_before="서 요 있 버 도 가 와 나 니 고",
    ),
    Stem("닥치", "", "ㄷㅊ", "고 라고", not_before="는 면 오 기"),
    Stem(
        "닥쳐",
        "닥처",
        "ㄷㅊ",
        not_before="오 온 올 왔",
        initials_not_before="했 하 예정 시간 알림 언제 완료 안",
    ),
    Stem("뒤져 뒈져", "뎌져 디져", apart="aimed", not_before="보 봐 봤 서 도 요 고"),
    Stem("뒤질래 뒈질래", "디질래"),
    Stem("썅년 샹년", "", "ㅆㄴ"),
    Stem("쌍년", apart="aimed"),
    Stem("쌍놈 썅놈 샹놈", apart="aimed"),
    Stem("염병 옘병", "염뼝 염뵹", not_after="전", not_before="원 실 동"),
    Stem("또라이", "또~라~이", "ㄸㄹㅇ", not_before="터 벌 트 브 딩 버"),
    Stem("쓰레기", "쓰~레~기", "ㅆㄹㄱ"),
    Stem("느금마 느금", "", "ㄴㄱㅁ", apart="never"),
    Stem("니미", apart="never"),
    Stem("니미럴"),
    Stem("애미 애비", apart="never"),
    Stem("대가리", "대가리~ 머가리", "ㄷㄱㄹ", apart="never"),
    Stem("아가리", apart="never"),
    Stem("찐따", "", "ㅉㄸ"),
    Stem("등신", apart="aimed", not_before="경 고 청 체 발"),
    Stem("싸가지", not_before="고 구"),
    Stem("양아치"),
    Stem("돌대가리"),
    Stem("엿먹어", "엿머거"),
    Stem("걸레", "", "ㄱㄹ", "같은년 같은|년", apart="never"),
    Stem("걸레년", apart="never"),
    Stem("창녀", apart="never"),
    Stem("화냥년"),
    Stem("처녀", apart="never"),
    Stem(
        "섹스",
        "섹~스 섹~쓰 에쎅스",
        "ㅅㅅ",
        "하자 하고 하는 할 한번 한판 해줘 해주면 해봤 좋아 가능",
    ),
    Stem("섹시", "쎅시 섹쒸", apart="aimed"),
    Stem("섹파", "쎅파", "ㅅㅍ", "구함 구해 할래"),
    Stem(
        "가슴",
        "까슴 가씀 까씀 슴가",
        "ㄱㅅ ㅅㄱ",
        "크지 크죠 크기 커 큰|년 큰|여 사이즈 만지 만져 보여 컵 골",
        not_before="슴 둘 팍 통 아 답 쓰 뼈 띠 압 앓 철",
    ),
    Stem("젖가슴", "젖까슴 젖가씀"),
    Stem("젖꼭지", "", "ㅈㄲㅈ"),
    Stem("젖통 젖탱이", apart="never"),
    Stem(
        "보지",
        "봊이 뽀지",
        "ㅂㅈ",
        "보여줘 빨아 빨고 만지 만져 벌려 핥 냄새",
        apart="never",
        not_before=_JI,
    ),
    Stem("자지", "쥬지", "ㅈㅈ", "빨아 빨고 섰 커 만지 만져", apart="never", not_before=_JI),
    Stem("자위", "", "ㅈㅇ", "하면서 했지", apart="never", not_before="대"),
    Stem("야동", "", "ㅇㄷ", "보다가 봤 찍", apart="never", not_before="동 리 면"),
    Stem("야한 야해", apart="never"),
    Stem("누드", apart="never"),
    Stem("팬티", "빤티 팬띠", "ㅍㅌ", "색 벗 무슨 입 보여", not_before="움"),
    Stem("빤스 빤쓰", apart="never"),
    Stem("브라자", "브라쟈", not_before="체 켓"),
    Stem("속옷", apart="never"),
    Stem("엉덩이", "엉떵이"),
    Stem("궁뎅이 궁댕이"),
    Stem("허벅지"),
    Stem("사타구니"),
    Stem("모텔", "", "ㅁㅌ", "가자 갈래 갈까 고고 잡 방 대실", not_before="링"),
    Stem("뽀뽀", apart="never"),
    Stem("키스", "", "ㅋㅅ", "할래 하자 잘", apart="never", not_before="톤 트 캔"),
    Stem("벗어 벗고 벗겨", apart="never", not_before="나 났 난"),
    Stem("만져 만지", apart="never"),
    Stem("빨아", apart="never"),
    Stem("꼴린 꼴리 꼴려"),
    Stem("따먹고싶", apart="aimed"),
    Stem("신음소리", not_after="수 발 통 착 확 송"),
    Stem("잠자리", apart="never"),
    Stem("원나잇", apart="never"),
    Stem("오럴", apart="never"),
    Stem("fuck FUCK"),
    Stem("sex SEX"),
)

# Spellings that no rule makes, by what they begin with: digits read aloud, masks, a gesture.
_AT_SOMEONE = "(?:(?=(?:새끼|색기)(?!손|발|줄)|쉐끼|년아|년들아|ㅅㄲ)| ?(?=놈|넘))"
_SAID = "(?= |$|놈|년|새|같|진짜)"
ALIASES: tuple[tuple[str, str, str], ...] = (
    ("씨발", "18", _AT_SOMEONE),
    ("씨발", "십팔", _AT_SOMEONE),
    ("씹", "10", "(?=새끼(?!손|발|줄)|새야|색기)"),
    ("씨팔", "씨8", _SAID),
    ("씨팔", "씌8", _SAID),
    ("씨팔", "쓰8", _SAID),
    ("시팔", "시8", _SAID),
    ("씨팔", "c8", _AT_SOMEONE),
    ("씨발", "x", f"[xX*]?발{_SAID}"),
    ("씨발", "X", f"[xX*]?발{_SAID}"),
    ("씨발", "씨", f"[xX*]{{1,2}}{_SAID}"),
    ("개새끼", "개", "[xX*](?:새끼|끼|ㄲ)"),
    ("개새끼", "개", "[xX*]{2}(?= |$|들|야)"),
    ("병신", "병", "[xX*](?=$|아|들| ?같|이냐)"),
    ("존나", "존*", "(?= |$)"),
    ("씹년", "씹*년", ""),
    ("니 애미", "니", " ?ㅇㅁ(?![ㅏ-ㅣ])"),
    ("엿", "ㅗ", "ㅗ?(?= |$)"),
)
