//! Topics of governments' publications, with invented texts.

/// A subject with its words.
pub(super) struct Topic {
    /// Titles of assets about it.
    pub(super) title: &'static str,
    /// The portal's category.
    pub(super) filed_under: &'static str,
    /// The categories of the catalog as a whole.
    pub(super) categories: &'static [&'static str],
    pub(super) tags: &'static [&'static str],
    /// Column names. The type of each follows from its name.
    pub(super) columns: &'static [&'static str],
    /// A sentence that describes a row.
    pub(super) about: &'static str,
}

macro_rules! topics {
    ($($title:literal, $filed:literal, [$($category:literal),*], [$($tag:literal),*], [$($column:literal),*], $about:literal;)*) => {
        /// All subjects.
        pub(super) const TOPICS: &[Topic] = &[$(Topic {
            title: $title,
            filed_under: $filed,
            categories: &[$($category),*],
            tags: &[$($tag),*],
            columns: &[$($column),*],
            about: $about,
        }),*];
    };
}

topics! {
    "Pothole Repairs", "Streets & Roads", ["transportation", "infrastructure"], ["potholes", "streets", "311", "asphalt"],
    ["Request Number", "Reported Date", "Repaired Date", "Street Name", "Depth (Inches)", "Crew", "Location"],
    "Every pothole that somebody reported, when a crew filled it, and how deep it had become.";
    "Adopted Budget", "Finance", ["finance"], ["budget", "expenditures", "fiscal year", "appropriations"],
    ["Fiscal Year", "Fund", "Department Name", "Account Code", "Adopted Amount", "Actual Amount", "Percent Spent"],
    "What each department may spend in a fiscal year, and what it spent in the end.";
    "Building Permits", "Permitting", ["housing & development", "economy"], ["permits", "construction", "inspections"],
    ["Permit Number", "Application Date", "Issue Date", "Work Type", "Estimated Cost", "Contractor Trade", "Parcel Number", "Site Address", "Location"],
    "Permits for new buildings, additions and demolitions, from the application to the final inspection.";
    "Park Facilities", "Culture & Recreation", ["recreation", "environment"], ["parks", "playgrounds", "trails"],
    ["Park Name", "Facility Type", "Acres", "Opening Date", "Accessible", "Boundary"],
    "Playgrounds, courts, trails and shelters, with what is open in which season.";
    "Restaurant Inspections", "Health", ["health"], ["food safety", "inspections", "restaurants", "violations"],
    ["Establishment Name", "Inspection Date", "Score", "Grade", "Violation Code", "Violation Text", "Reinspection Due", "Location"],
    "Scores of routine inspections of kitchens, with the violations that were found and mended.";
    "Service Requests", "City Services", ["social services", "infrastructure"], ["311", "requests", "complaints"],
    ["Case Number", "Opened Date", "Closed Date", "Request Type", "Status", "Ward Number", "Source", "Location"],
    "Requests by phone, app and counter, from missed trash to fallen trees.";
    "Traffic Counts", "Transportation", ["transportation"], ["traffic", "counts", "vehicles", "intersections"],
    ["Station Number", "Count Date", "Direction", "Vehicle Count", "Truck Percent", "Peak Hour", "Location"],
    "Vehicles by hour and direction at the permanent stations and at studies of a week.";
    "Crime Incidents", "Public Safety", ["public safety"], ["crime", "police", "incidents"],
    ["Incident Number", "Occurred Date", "Offense Type", "Beat Number", "Block", "Arrest Made", "Location"],
    "Reported incidents down to the block; places and times of some kinds are withheld by law.";
    "Fire Calls for Service", "Public Safety", ["public safety"], ["fire", "ems", "response times"],
    ["Call Number", "Received Date", "Call Type", "Unit", "Response Minutes", "Battalion Number", "Location"],
    "Calls to which a unit was sent, with the minutes until the first one arrived.";
    "Vendor Payments", "Finance", ["finance", "economy"], ["payments", "vendors", "checkbook", "transparency"],
    ["Payment Number", "Payment Date", "Vendor Name", "Department Name", "Amount", "Description"],
    "The checkbook: every payment to a vendor above the threshold of the procurement code.";
    "Tree Inventory", "Environment", ["environment"], ["trees", "forestry", "canopy"],
    ["Tree Number", "Species", "Diameter (Inches)", "Planting Date", "Condition", "Location"],
    "Street and park trees with species, size and the condition at the last visit.";
    "Air Quality Readings", "Environment", ["environment", "health"], ["air quality", "ozone", "monitoring"],
    ["Sensor Number", "Reading Date", "PM 2.5", "Ozone", "Temperature", "Valid", "Location"],
    "Hourly readings of the fixed monitors; values are provisional for ninety days.";
    "Transit Ridership", "Transportation", ["transportation"], ["transit", "bus", "ridership"],
    ["Route Number", "Service Date", "Day Type", "Boardings", "Revenue Miles", "On-Time Percent"],
    "Boardings by route and day as the counters at the doors saw them.";
    "Property Assessments", "Housing", ["housing & development", "finance"], ["assessments", "parcels", "property tax"],
    ["Parcel Number", "Tax Year", "Land Value", "Improvement Value", "Total Value", "Land Use Code", "Site Address", "Boundary"],
    "Values of land and buildings on the roll of each tax year, before appeals.";
    "Water Consumption", "Utilities", ["infrastructure", "environment"], ["water", "utilities", "meters"],
    ["Account Class", "Billing Month", "Meters", "Gallons", "Average Gallons", "Estimated"],
    "Metered water by class of customer and month; no single account can be reported.";
    "Library Circulation", "Culture & Recreation", ["education", "recreation"], ["libraries", "books", "circulation"],
    ["Branch Name", "Checkout Month", "Collection", "Checkouts", "Renewals", "Holds"],
    "What was borrowed at each branch, on paper and by download.";
    "School Enrollment", "Education", ["education", "demographics"], ["schools", "enrollment", "students"],
    ["School Name", "School Year", "Grade Level", "Students", "Attendance Percent", "District Number"],
    "Pupils on the count day of each school year, by school and grade.";
    "Election Results", "Government", ["politics"], ["elections", "votes", "precincts"],
    ["Election Date", "Precinct Number", "Contest Name", "Choice", "Votes", "Turnout Percent"],
    "Certified results by precinct and contest; provisional ballots are counted where they were cast.";
    "Business Licenses", "Business", ["economy"], ["licenses", "businesses", "renewals"],
    ["License Number", "Issue Date", "Expiration Date", "Business Name", "License Type", "Active", "Website", "Location"],
    "Businesses with a license in force, and those whose license has lapsed within a year.";
    "Animal Shelter Intakes", "City Services", ["social services"], ["animals", "shelter", "adoptions"],
    ["Animal Number", "Intake Date", "Outcome Date", "Species", "Outcome Type", "Days in Shelter"],
    "Animals that came in and how they left again, most of them to a new home.";
    "Snow Plow Routes", "Streets & Roads", ["transportation", "infrastructure"], ["snow", "plows", "winter"],
    ["Route Number", "Priority", "Lane Miles", "Last Plowed Date", "Path"],
    "The order in which streets are cleared, and when a plow was last there.";
    "Affordable Housing Projects", "Housing", ["housing & development"], ["housing", "affordable", "units"],
    ["Project Number", "Project Name", "Start Date", "Completion Date", "Affordable Units", "Total Units", "Funding", "Location"],
    "Projects with public money in them, by units and by the income that they are meant for.";
    "Employee Earnings", "Government", ["finance"], ["salaries", "payroll", "overtime"],
    ["Fiscal Year", "Department Name", "Job Title", "Base Pay", "Overtime Pay", "Full Time"],
    "Pay by position, with names left out, as the payroll system has it at year's end.";
    "Immunization Coverage", "Health", ["health", "demographics"], ["vaccines", "immunization", "schools"],
    ["Area Name", "Reporting Year", "Vaccine", "Age Group", "Coverage Percent", "Lower Limit", "Upper Limit"],
    "The share of residents who are immunized, with the limits of the estimate.";
    "Street Lights", "Infrastructure", ["infrastructure"], ["lighting", "led", "streets"],
    ["Pole Number", "Lamp Type", "Watts", "Installed Date", "Working", "Location"],
    "Every lamp with its pole, its watts, and whether it worked at the last patrol.";
    "Bicycle Crashes", "Transportation", ["transportation", "public safety"], ["bicycles", "crashes", "vision zero"],
    ["Crash Number", "Crash Date", "Severity", "Lighting", "Helmet", "Speed Limit", "Location"],
    "Crashes with a bicycle in them, as the officer on the scene described them.";
}
