"""Atlas-R in Vietnamese."""

from __future__ import annotations

from beir_hybrid.corpora.atlas.templates.forms import Forms

FORMS = {
    "currency": Forms(
        questions=(
            "{entity} dùng loại tiền tệ nào?",
            "Người dân ở {entity} trả bằng tiền gì?",
            "Tôi sắp đi du lịch {entity}: tiền ở đó gọi là gì?",
        ),
        passages=(
            "Phương tiện thanh toán hợp pháp tại {entity} là {value}.",
            "Giá cả và lương bổng ở {entity} được tính theo đơn vị {value}.",
        ),
    ),
    "former_currency": Forms(
        questions=(
            "Trước loại tiền hiện nay, {entity} dùng tiền tệ nào?",
            "Trước lần đổi tiền gần nhất, người dân {entity} trả bằng gì?",
            "Loại tiền nào từng lưu hành ở {entity} cho đến khi bị đồng tiền ngày nay thay thế?",
        ),
        passages=(
            "Phương tiện thanh toán có trước phương tiện hiện hành tại {entity} là {value}.",
            "Cho tới lúc chuyển sang đơn vị khác, sổ sách ở {entity} được ghi theo {value}.",
        ),
    ),
    "currency_since": Forms(
        questions=(
            "{entity} có loại tiền tệ hiện nay từ khi nào?",
            "{entity} bắt đầu dùng đồng tiền ngày nay vào năm nào?",
            "Đồng tiền đang lưu hành ở {entity} đã có từ bao giờ?",
        ),
        passages=(
            "Đơn vị thanh toán hiện hành của {entity} được chấp nhận năm {value}.",
            "Phương tiện thanh toán hiện hành tại {entity} hợp pháp kể từ năm {value}.",
        ),
    ),
    "currency_symbol": Forms(
        questions=(
            "Bên cạnh giá ở {entity} người ta ghi dấu gì?",
            "Ký hiệu tiền của {entity} là gì?",
            "Trên nhãn giá ở {entity}, số tiền được viết tắt thế nào?",
        ),
        passages=(
            "Cửa hàng tại {entity} cho biết món hàng đáng bao nhiêu bằng {value}.",
            "Khi ghi sổ sách tại {entity}, các khoản được kèm theo {value}.",
        ),
    ),
    "official_languages": Forms(
        questions=(
            "Ngôn ngữ chính thức của {entity} là gì?",
            "{entity} chính thức dùng tiếng nào?",
            "Những ngôn ngữ nào có địa vị chính thức ở {entity}?",
        ),
        passages=(
            "Cơ quan công quyền tại {entity} làm việc bằng {value}.",
            "Giấy tờ nhà nước ở {entity} được soạn bằng {value}.",
        ),
    ),
    "time_zone": Forms(
        questions=(
            "{entity} nằm trong múi giờ nào?",
            "Đồng hồ ở {entity} chạy theo giờ gì?",
            "Người dân {entity} sống theo giờ chuẩn nào?",
        ),
        passages=(
            "Trên toàn lãnh thổ {entity} có hiệu lực {value}.",
            "Khu vực thời gian mà {entity} thuộc về có tên là {value}.",
        ),
    ),
    "first_weekday": Forms(
        questions=(
            "Ở {entity}, tuần bắt đầu vào ngày nào?",
            "Lịch ở {entity} xếp ngày nào lên đầu?",
            "Người dân {entity} coi ngày nào là ngày đầu tuần?",
        ),
        passages=(
            "Cứ bảy ngày, {entity} lại mở ra một tuần mới với {value}.",
            "Cột mở đầu của tờ lịch in cho {entity} dành cho {value}.",
        ),
    ),
    "script": Forms(
        questions=(
            "{entity} được viết bằng chữ gì?",
            "Người ta dùng những chữ cái nào để viết {entity}?",
            "Hệ thống chữ viết của {entity} là gì?",
        ),
        passages=(
            "Văn bản {entity} được xếp bằng {value}.",
            "Sách {entity} thông thường được in bằng {value}.",
        ),
    ),
    "word": Forms(
        questions=(
            "“{item}” trong {entity} nói thế nào?",
            "{entity} gọi {item} là gì?",
            "Từ nào trong {entity} có nghĩa là “{item}”?",
        ),
        passages=(
            "Ai nói {entity} thì dùng “{value}” để chỉ {item}.",
            "Từ điển {entity} ghi “{value}” ở mục {item}.",
        ),
    ),
    "currency_code": Forms(
        questions=(
            "Mã ISO của đồng tiền {entity} là gì?",
            "Ngân hàng viết tắt {entity} bằng ba chữ cái nào?",
            "Trong bảng tỷ giá, {entity} được ghi ra sao?",
        ),
        passages=(
            "{entity} được liệt kê quốc tế dưới tên {value}.",
            "Trong thanh toán liên ngân hàng, {value} dùng để chỉ {entity}.",
        ),
    ),
}
